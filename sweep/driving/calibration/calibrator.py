"""Runs the calibration of a study: named schedules over several seeds, at both stages.

Every run has a trial directory under the study's ``calibration`` folder. The folder alone says what
is done, so a second call goes on where the first one stopped.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from sweep.decisions.calibration import calibrate
from sweep.driving.calibration.runs import (
    CalibrationRun,
    as_begun,
    check_settings,
    earlier,
    keep_overheads,
    remove_unmeasured,
    run_figures,
)
from sweep.driving.workers.interrupts import Interrupts
from sweep.driving.workers.patience import EarlyFailures, died_for_good, goes_on
from sweep.driving.workers.slots import Slots
from sweep.launchers.base import Died, Ended, EpochEnded, Event, Failed, Job, Launcher, Note
from sweep.study.calibration import (
    Calibration,
    RunFigures,
    read_calibration,
    write_calibration,
)
from sweep.study.config import OBJECTIVE, StudyConfig
from sweep.study.folder import WORKER_LOG
from uvtex.errors import UvtexError
from uvtex.metric_catalogue import THRESHOLDS
from uvtex.runs.epochs import read_epochs

if TYPE_CHECKING:
    from sweep.driving.spending import Spending

Say = Callable[[str], None]


class Calibrator:
    """Runs what is missing of a calibration. The caller holds the study's lease.

    Args:
        runs: see :func:`sweep.driving.calibration.runs.planned`.
        say: told of each run that ends, in a line.
        clock: seconds; see :class:`sweep.decisions.budget.Budget`.
        spending: the limits that it counts towards, by the same clock; None: there are none.
    """

    def __init__(
        self,
        study: StudyConfig,
        runs: Sequence[CalibrationRun],
        launcher: Launcher,
        say: Say,
        clock: Callable[[], float] = time.monotonic,
        spending: Spending | None = None,
    ) -> None:
        self._study, self._runs, self._say = study, runs, say
        self._clock, self._spending = clock, spending
        self._waiting: list[CalibrationRun] = []
        self._epoch_seconds: list[float] = []
        self._slots = Slots[CalibrationRun](launcher, study.hang, self._epoch_seconds)
        self._interrupts = Interrupts(study.paths)
        self._failures = EarlyFailures()

    def run(self) -> Calibration | None:
        """Runs to the end and writes ``calibration.json``; None after Ctrl-C.

        Raises:
            ConfigError: an earlier run was made with other settings.
            UvtexError: too many runs failed.
        """
        for run in self._runs:
            check_settings(run)
        for run in self._runs:
            remove_unmeasured(run, self._say)
        self._waiting = [run for run in self._runs if not run.ended]
        try:
            with self._interrupts.counted():
                self._loop()
        finally:
            self._slots.close()
        if any(not run.done and run.failure is None for run in self._runs):
            return None
        return self._conclude()

    def _conclude(self) -> Calibration:
        mine = {run.run_dir: run for run in self._runs}
        others = [run for run in earlier(self._study) if run.run_dir not in mine]
        for run in others:
            check_settings(run)
        done = [run for run in [*self._runs, *others] if run.failure is None]
        keep_overheads(done, read_calibration(self._study.paths))
        asked = (threshold.metric for threshold in self._study.asked_thresholds)
        judged = list(dict.fromkeys([OBJECTIVE, *asked]))
        tested = all(run.ended for run in done)
        figures = []
        for run in done:
            found = run_figures(run, tested)
            if absent := [metric for metric in judged if metric not in found.metrics]:
                run.failure = f"has no figure for {', '.join(absent)}"
            else:
                figures.append(found)
        ran = [*self._runs, *others]
        failed = [f"{run.label}: {run.failure}" for run in ran if run.failure is not None]
        return self._saved(figures, judged, failed)

    def _saved(
        self, figures: Sequence[RunFigures], judged: Sequence[str], failed: Sequence[str]
    ) -> Calibration:
        metrics = list(dict.fromkeys([*judged, *THRESHOLDS]))
        try:
            found = calibrate(figures, metrics, judged, failed)
        except ValueError as error:
            raise UvtexError("\n".join([f"no calibration: {error}", *failed])) from None
        write_calibration(self._study.paths, found)
        return found

    def _loop(self) -> None:
        while True:
            self._interrupts.look()
            self._fill()
            lost = bool(self._waiting) and self._slots.none
            waits = (self._interrupts.paused or lost) and not self._interrupts.count
            if self._interrupts.count > 1 or not (self._slots.runs or waits):
                return
            self._interrupts.tell(self._say)
            for run, event in self._slots.wait():
                if self._spending is not None:
                    if isinstance(event, Ended | Failed | Died):
                        self._spending.calibrated(run)
                    self._spending.save(self._slots.runs)
                self._handle(run, event)

    def _fill(self) -> None:
        if self._interrupts.holding:
            self._slots.free_devices()
            return
        for slot in self._slots.free:
            if not self._waiting:
                return
            self._start(slot, self._waiting.pop(0))

    def _start(self, slot: str, run: CalibrationRun) -> None:
        run.began = self._clock()
        # `resume` is always right: a trainer that finds no checkpoint starts at epoch 1.
        job = Job(
            config=as_begun(run).model_dump(mode="json"),
            data=str(self._study.data.path),
            run_dir=str(run.run_dir),
            resume=True,
            grids=0,
            test=run.tests,
        )
        self._slots.start(slot, run, job)

    def _handle(self, run: CalibrationRun, event: Event) -> None:
        if isinstance(event, EpochEnded):
            run.seconds.append(float(event.report["seconds"]))
            self._epoch_seconds.append(run.seconds[-1])
            run.deaths = 0
            last = event.report["epoch"] >= run.config.epochs
            self._slots.answer(run, go_on=last or not self._interrupts.holding)
        elif isinstance(event, Note):
            self._say(f"{run.label}: {event.message}")
        elif isinstance(event, Ended):
            self._ended(run)
        elif isinstance(event, Failed):
            self._failed(run, event.message)
        elif isinstance(event, Died):
            self._died(run, run.hung or event.message)

    def _ended(self, run: CalibrationRun) -> None:
        if not run.done:
            if not self._interrupts.count:  # it was paused
                self._waiting.insert(0, run)
            return
        self._failures.count(False, run.label, "", run.run_dir)
        if len(run.seconds) == run.config.epochs:
            run.overhead = max(0.0, self._clock() - run.began - sum(run.seconds))
        found = sum(run.done or run.failure is not None for run in self._runs)
        figure = run_figures(run, run.ended).metrics.get(OBJECTIVE, math.nan)
        self._say(f"{found}/{len(self._runs)} {run.label}: {OBJECTIVE} {figure:.4f}")

    def _died(self, run: CalibrationRun, message: str) -> None:
        run.deaths += 1
        if run.deaths > self._study.retries:
            self._failed(run, died_for_good(run.deaths, message))
            return
        run.seconds.clear()
        self._say(goes_on(run.label, message))
        self._waiting.insert(0, run)

    def _failed(self, run: CalibrationRun, message: str) -> None:
        run.failure = message
        self._say(f"{run.label} failed: {message}; see {run.run_dir / WORKER_LOG}")
        self._failures.count(not read_epochs(run.run_dir), run.label, message, run.run_dir)
