"""What a study has cost, what it may cost, and what it will: time limits, and the forecast."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection
from dataclasses import replace
from typing import Protocol

import numpy as np
from pydantic import BaseModel, ValidationError

from sweep.decisions.budget import Budget, Measured, fits, predict
from sweep.decisions.cost import RECENT, Ahead, Cost, Seen, forecast_cost
from sweep.driving.active_run import ActiveRun
from sweep.driving.due_runs import Records, compared, is_candidate, replicates
from sweep.study.calibration import read_calibration
from sweep.study.config import StudyConfig
from sweep.study.folder import UNFINISHED, TrialRecord
from uvtex.files import write_atomic
from uvtex.progress import duration_text
from uvtex.runs.epochs import read_epochs

DRAWS = 300
"""Simulated studies of a forecast while the study runs: a few hundredths of a second."""

FEW_RUNS = 500
"""A forecast of fewer runs is quick, and made whenever a run has ended."""
FORECAST_PAUSE = 100.0
"""The time from one forecast to the next, in times that it took."""

SPENT = "spent.json"
"""In the study's folder: what the running call has spent of its limits so far."""
SAVED_EVERY = 1.0
"""Seconds from one time that it is written to the next. A hundred workers end more epochs than
that, and a killed call loses no more than these seconds."""


class Began(Protocol):
    """A run in a slot, of the study or of its calibration."""

    began: float
    """When this call started it, by the clock of :class:`Spending`."""


class _Spent(BaseModel):
    """What a call has spent, on disk."""

    seconds: float
    device_seconds: float


class Spending:
    """The time of one call of the command, by a clock that nobody can set.

    The time of a call that was killed, or that ended by an error, counts in the next call too.
    """

    def __init__(
        self, study: StudyConfig, clock: Callable[[], float], started: float | None = None
    ) -> None:
        """``started``: when the call began, by ``clock``; None: now."""
        self._study, self._clock = study, clock
        self._file = study.paths.folder / SPENT
        self._budget = Budget(
            _seconds(study.hours),
            clock() if started is None else started,
            _seconds(study.device_hours),
        )
        self.epoch_seconds: list[float] = []
        """Of every epoch of the study, in the order of time."""
        self.overheads: list[float] = []
        """Seconds of each run of this call outside its epochs."""
        self._used = 0.0
        self._took_over = False
        self._saved = self._next_forecast = -math.inf
        self._forecast: Cost | None = None

    @property
    def left(self) -> float | None:
        """Seconds left; None: no limit."""
        return self._budget.left(self._clock())

    def take_over(self, say: Callable[[str], None]) -> None:
        """Adds what the last call spent, if it was killed or ended by an error, and says so.

        A second call does nothing.
        """
        if self._took_over:
            return
        self._took_over = True
        try:
            before = _Spent.model_validate_json(self._file.read_bytes())
        except (OSError, ValidationError):
            return
        self._budget = replace(self._budget, started=self._budget.started - before.seconds)
        self._used += before.device_seconds
        if self._study.hours is not None or self._study.device_hours is not None:
            say(
                f"the last call did not end as asked; its {duration_text(before.seconds)} "
                f"({before.device_seconds / 3600:.2g} device-hours) count towards the limits"
            )

    def save(self, active: Collection[Began]) -> None:
        """Keeps what this call has spent, for the case that it is killed; at most each second."""
        now = self._clock()
        if now - self._saved < SAVED_EVERY:
            return
        self._saved = now
        running = sum(max(0.0, now - run.began) for run in active)
        spent = _Spent(seconds=now - self._budget.started, device_seconds=self._used + running)
        write_atomic(self._file, (spent.model_dump_json() + "\n").encode())

    def forget(self) -> None:
        """The call ended as asked: the next one has all of its limits."""
        self._file.unlink(missing_ok=True)

    def hold(self, seconds: float) -> None:
        """Leaves out seconds in which the study was paused."""
        self._budget = replace(self._budget, started=self._budget.started + seconds)

    def calibrated(self, run: Began) -> None:
        """Adds a run of the calibration that has left its slot."""
        self._used += max(0.0, self._clock() - run.began)

    def ended(self, run: ActiveRun) -> None:
        """Adds a run that this call started or resumed."""
        took = max(0.0, self._clock() - run.began)
        self._used += took
        self.overheads.append(max(0.0, took - sum(run.seconds)))

    def fits(self, epochs: int, active: Collection[ActiveRun]) -> bool:
        """Whether one more run of ``epochs`` fits what is left, while ``active`` go on."""
        now, measured = self._clock(), self._measured
        running = sum(max(0.0, now - run.began) for run in active)
        rests = [predict(measured, run.record.epochs - len(run.reports)) for run in active]
        committed = sum(rest for rest in rests if rest is not None)
        predicted = predict(measured, epochs)
        return fits(self._budget, now, predicted, len(active), self._used + running, committed)

    def forecast(self, records: Records, devices: int, draws: int = DRAWS) -> Cost | None:
        """The cost of the rest of the study; None if no epoch was measured, here or before."""
        seconds = self.epoch_seconds or _calibrated(self._study)
        if not seconds:
            return None
        rng = np.random.default_rng([self._study.search.seed, len(records), len(seconds)])
        seen = self._seen(records, seconds)
        return forecast_cost(self._ahead(records, devices), seen, rng, draws)

    def latest_forecast(self, records: Records, devices: int) -> Cost | None:
        """The same. With many runs, or many to go, it is made anew at most a hundredth of the time:
        it takes longer then than all else that the driver does at the end of a run."""
        began = self._clock()
        few = max(len(records), self._study.trials) < FEW_RUNS
        if few or began >= self._next_forecast:
            self._forecast = self.forecast(records, devices)
            self._next_forecast = began + FORECAST_PAUSE * (self._clock() - began)
        return self._forecast

    @property
    def _measured(self) -> Measured:
        return Measured(self.epoch_seconds, self.overheads)

    def _ahead(self, records: Records, devices: int) -> Ahead:
        study = self._study
        probes = [record for record in records.values() if record.stage == "probe"]
        unfinished = [record for record in records.values() if record.state in UNFINISHED]
        full = [replicates(records, r.trial) for r in probes if is_candidate(r)]
        most = study.replicates
        return Ahead(
            probes=max(0, study.trials - len(probes)),
            probe_epochs=study.stages.probe,
            full_epochs=study.stages.full,
            most_replicates=most,
            devices=devices,
            candidates=sum(not runs for runs in full),
            begun=[len(runs) for runs in full if runs and not any(run.gate for run in runs)],
            compared=[most - len(replicates(records, trial)) for trial in compared(records)],
            prunes=study.pruning.enabled,
            started_epochs=sum(record.epochs - self._made(record) for record in unfinished),
        )

    def _seen(self, records: Records, seconds: list[float]) -> Seen:
        ended = [r for r in records.values() if r.stage == "probe" and r.state not in UNFINISHED]
        probes = sorted(ended, key=lambda record: record.ended or 0.0)
        promoted = [record for record in probes if record.state == "promoted"]
        full = [replicates(records, record.trial) for record in promoted]
        return Seen(
            epoch_seconds=seconds[-RECENT:],
            overheads=self.overheads[-RECENT:],
            shares=[min(1.0, self._made(record) / record.epochs) for record in probes[-RECENT:]],
            probes=len(probes),
            passes=len(promoted),
            replicates=[len(runs) for runs in full if any(run.gate for run in runs)],
        )

    def _made(self, record: TrialRecord) -> int:
        if record.state in ("complete", "promoted"):
            return record.epochs
        if record.state == "pruned" and record.flag is not None:
            return record.flag.epoch
        return len(read_epochs(self._study.paths.run_dir(*record.key)))


def _seconds(hours: float | None) -> float | None:
    return None if hours is None else hours * 3600


def _calibrated(study: StudyConfig) -> list[float]:
    """Seconds of an epoch of each run of the calibration."""
    calibration = read_calibration(study.paths)
    return [] if calibration is None else [run.seconds for run in calibration.runs]
