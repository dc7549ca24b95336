"""The main loop of a study: starts runs, receives epochs, decides, and records.

The driver writes each event to the trial directory first, and then tells Optuna and MLflow. So the
trial directories are right wherever a driver dies, and the next driver brings the rest up to date.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from typing import Literal

from sweep.driving.active_run import ActiveRun
from sweep.driving.admission import after_run
from sweep.driving.after_epoch import after_epoch
from sweep.driving.disk_space.retention import Cleaner
from sweep.driving.display import ProgressDisplay
from sweep.driving.due_runs import Records
from sweep.driving.gate import RegistryGate
from sweep.driving.plan import Ending, Plan
from sweep.driving.recovery import recover
from sweep.driving.sampling.optuna_study import OptunaStudy
from sweep.driving.spending import Spending
from sweep.driving.stopping import Stopping
from sweep.driving.workers.interrupts import Interrupts
from sweep.driving.workers.patience import EarlyFailures, died_for_good, goes_on
from sweep.driving.workers.slots import Slots
from sweep.launchers.base import Died, Ended, EpochEnded, Event, Failed, Launcher, Note
from sweep.launchers.worker_log import last_output
from sweep.study.config import StudyConfig
from sweep.study.data_identity import check_run
from sweep.study.folder import WORKER_LOG, Gate, State, TrialRecord
from sweep.tracking.mirror import LITTLE_PATIENCE, MlflowMirror
from uvtex.errors import ConfigError, UvtexError
from uvtex.runs.epochs import EpochReport

Outcome = Ending | Literal["interrupted"]


class Driver:
    """Runs one study. The caller holds the study's lease, and closes ``view`` and ``mirror``."""

    def __init__(
        self,
        study: StudyConfig,
        launcher: Launcher,
        mirror: MlflowMirror,
        view: ProgressDisplay,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
        spending: Spending | None = None,
    ) -> None:
        """``clock`` measures budget and durations. ``wall``, Unix seconds, is only recorded.
        ``spending``: what this call has spent before; None: nothing."""
        self._study, self._display = study, view
        self._mirror, self._clock, self._wall = mirror, clock, wall
        self._optuna_study = OptunaStudy(study, view.note)
        self._stopping = Stopping(study)
        self._records = Records()
        self._spending = Spending(study, clock) if spending is None else spending
        self._gate = RegistryGate(study, self._records, mirror, view.note, self._write_gate)
        self._plan = Plan(
            study, self._records, self._optuna_study, self._stopping, self._spending, self._gate
        )
        self._cleaner = Cleaner(study, self._records)
        self._interrupts = Interrupts(study.paths)
        self._slots = Slots[ActiveRun](launcher, study.hang, self._spending.epoch_seconds)
        self._failures, self._told_ending = EarlyFailures(), False

    @property
    def ending(self) -> str | None:
        """Why the study ended early, in a sentence; None if it did not."""
        return self._plan.disk_full or self._plan.ending

    def run(self) -> Outcome:
        """Runs until all trials are done, time is up, or Ctrl-C; then closes the launcher.

        Raises:
            UvtexError: too many runs failed, or trial directories and Optuna disagree.
        """
        try:
            self._spending.take_over(self._display.note)
            taken = recover(
                self._study, self._optuna_study, self._stopping, self._wall(), self._display.note
            )
            self._records.update(taken[0])
            self._mirror.study_started()
            self._gate.ask_overdue()
            self._spending.epoch_seconds[:] = taken[1]
            self._forecast_cost()
            with self._interrupts.counted():
                self._loop()
                self._cleaner.clean()
            self._optuna_study.flush()
        finally:
            self._close()
        self._spending.forget()
        return "interrupted" if self._interrupts.count else self._plan.outcome

    def _close(self) -> None:
        """Ends the workers, whose runs are interrupted then. An error here hides no earlier one."""
        self._slots.close()
        for run in self._slots.runs:
            with suppress(UvtexError):  # readers know a run without a driver by its study's lock
                self._interrupted(run)
        with suppress(Exception):  # the server of Optuna's storage may be away
            self._optuna_study.close()

    def _loop(self) -> None:
        while True:
            self._interrupts.look()
            self._interrupts.tell(self._display.note)
            self._gate.hear()
            self._fill()
            idle = not self._slots.runs
            if self._interrupts.count > 1:
                self._mirror.patience = LITTLE_PATIENCE
                return
            if idle and not self._waits():
                before, asked = self._interrupts.count, self._interrupts.asked_to_stop
                if self._gate.waits and self._mirror.wait_for_answer(asked):
                    continue
                self._interrupts.count = before  # Ctrl-C has ended the wait, and no run
                return
            paused = idle and self._interrupts.paused
            began = self._clock() if paused else 0.0
            for run, event in self._slots.wait():
                self._handle(run, event)
            if paused:
                self._spending.hold(self._clock() - began)

    def _waits(self) -> bool:
        """Whether a run may start later although none runs now."""
        lost = self._slots.none and not self._plan.out_of_time
        may = self._interrupts.paused or self._plan.waiting or lost
        return may and not self._interrupts.count

    def _fill(self) -> None:
        left = self._spending.left
        self._plan.out_of_time = self._slots.none and left is not None and left <= 0
        if self._interrupts.holding:
            self._slots.free_devices()
        else:
            for slot in self._slots.free:
                if (run := self._next()) is None:
                    break
                self._start(slot, run)
        if self.ending is not None and not self._told_ending:
            self._told_ending = True
            self._display.note(self.ending)
        self._display.budget(self._spending.left, self._plan.probes_left)

    def _next(self) -> ActiveRun | None:
        """The next run to start; None if there is none."""
        while (planned := self._plan.next(self._slots.runs)) is not None:
            if planned.why is not None:
                self._display.note(planned.why)
            if not self._ends_on_disk(planned.run):
                return planned.run
        return None

    def _ends_on_disk(self, run: ActiveRun) -> bool:
        """Judges the last epoch of a run that goes on, and ends the run if it ends there.

        A driver that died between an epoch and its record left the epoch without a judgement.
        """
        if not run.reports:
            return False
        run.began = run.began or self._clock()
        self._judge(run, run.reports[max(run.reports)], interrupted=False)
        if run.stopped is None:
            return False
        self._finish(run, run.stopped, run.record.reason or "")
        return True

    def _start(self, slot: str, run: ActiveRun) -> None:
        run.began = run.began or self._clock()
        run.stopped = None
        started = run.record.started
        self._write(run, state="running", started=self._wall() if started is None else started)
        self._slots.start(slot, run, run.job(self._study))
        self._display.started(run.record, len(run.reports))
        self._tell_mlflow(run)  # of epochs too that no driver has told it of

    def _handle(self, run: ActiveRun, event: Event) -> None:
        if isinstance(event, EpochEnded):
            self._epoch(run, EpochReport.from_json(event.report))
        elif isinstance(event, Note):
            self._display.note(f"{run.record.label}: {event.message}")
        elif isinstance(event, Died):
            self._died(event.slot, run, event.message)
        elif isinstance(event, Failed) and event.disk_full:
            self._plan.stop_for(f"The disk is full: {event.message}")
            self._interrupted(run)
        elif isinstance(event, Failed):
            self._finish(run, "failed", event.message)
        elif isinstance(event, Ended):
            self._publish(run, run.catch_up())
            self._ended(run)

    def _epoch(self, run: ActiveRun, report: EpochReport) -> None:
        if not run.seconds:
            self._check_data(run)
        known = run.furthest
        new = run.add_epoch(report)
        self._spending.epoch_seconds.append(report.seconds)
        deaths = 0 if run.furthest > known else run.record.deaths
        self._judge(run, report, self._interrupts.holding, deaths=deaths)
        self._publish(run, new)
        self._display.epoch(run.record, report)
        self._spending.save(self._slots.runs)

    def _judge(
        self, run: ActiveRun, report: EpochReport, interrupted: bool, **changes: object
    ) -> None:
        """Decides what becomes of a run after an epoch, tells its worker, and records it."""
        run.stopped, found = after_epoch(self._study, run, report, self._stopping, interrupted)
        # The answer comes first, so that the worker computes while the driver writes.
        self._slots.answer(run, go_on=run.stopped is None)
        best = run.best
        self._write(run, best_epoch=best.epoch if best else None, **changes, **found)
        if found.get("flag") is not None:
            self._stopping.learn(run)
            self._display.flagged(run.record)

    def _check_data(self, run: ActiveRun) -> None:
        """At a run's first epoch: checks that it trains on the data of the study's other runs."""
        try:
            check_run(self._study, run.record, run.config.checkpoint_name)
        except ConfigError as error:
            self._finish(run, "failed", "the data set has changed since the study began")
            self._slots.drop(run)
            raise error

    def _publish(self, run: ActiveRun, reports: list[EpochReport]) -> None:
        for report in reports:
            if run.record.stage == "probe":
                self._optuna_study.report(run.record.trial, report)
        self._tell_mlflow(run)

    def _tell_mlflow(self, run: ActiveRun) -> None:
        self._mirror.run_changed(run.record, run.run_dir, run.config, len(run.reports))

    def _ended(self, run: ActiveRun) -> None:
        state, reason = after_run(self._study, run)
        if state == "interrupted":
            self._interrupted(run)
            return
        self._finish(run, state, reason)
        if run.record.stage == "full" and state == "complete":
            self._gate.run_ended(run.record.trial)

    def _interrupted(self, run: ActiveRun) -> None:
        """Records that the run has no driver any more. The next driver resumes it."""
        self._write(run, state="interrupted")
        self._tell_mlflow(run)

    def _died(self, slot: str, run: ActiveRun, message: str) -> None:
        message = run.hung or message
        missed = run.catch_up()
        self._publish(run, missed)
        deaths = 1 if missed else run.record.deaths + 1
        if deaths > self._study.retries:
            self._write(run, deaths=deaths, output=last_output(run.run_dir / WORKER_LOG))
            self._finish(run, "failed", died_for_good(deaths, message))
            return
        self._write(run, retries=run.record.retries + 1, deaths=deaths)
        self._display.note(goes_on(run.record.label, message))
        if self._interrupts.holding or slot not in self._slots.free:
            self._interrupted(run)  # a slot that was lost with its node: another one takes the run
        elif not self._ends_on_disk(run):
            self._start(slot, run)

    def _finish(self, run: ActiveRun, state: State, reason: str) -> None:
        self._publish(run, run.catch_up())
        best, made, ended = run.best, len(run.reports), run.end_time(self._wall())
        last = {"ended": ended, "epochs_made": made, "best_epoch": best.epoch if best else None}
        self._write(run, state=state, reason=reason, **last)
        self._cleaner.clean(run.record.trial)  # before MLflow gets a copy of what is not kept
        self._spending.ended(run)
        if run.record.stage == "probe":
            self._optuna_study.tell(run.record, best.val if best else None)
            self._stopping.learn(run)
        self._tell_mlflow(run)
        self._display.ended(run.record)
        self._forecast_cost()
        self._failures.count(
            state == "failed" and best is None, run.record.label, reason, run.run_dir
        )

    def _write_gate(self, record: TrialRecord, gate: Gate) -> None:
        self._write(ActiveRun.load(self._study, record), gate=gate.model_dump())

    def _forecast_cost(self) -> None:
        self._display.cost(self._spending.latest_forecast(self._records, self._slots.most))

    def _write(self, run: ActiveRun, **changes: object) -> None:
        run.update(**changes)
        self._records[run.record.key] = run.record
