"""Which run a study starts next: by its records, its limits, and whether it is worth going on."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

from sweep.driving import due_runs
from sweep.driving.active_run import ActiveRun
from sweep.driving.disk_space.room import DiskRoom
from sweep.driving.due_runs import Records
from sweep.driving.gate import RegistryGate
from sweep.driving.sampling.optuna_study import OptunaStudy
from sweep.driving.spending import Spending
from sweep.driving.stopping import Stopping
from sweep.study.config import StudyConfig
from sweep.study.folder import Stage, TrialRecord

FIRST_WAIT = 2.0
"""Seconds that Optuna gets to answer before the driver turns to its workers again."""
NEXT_WAIT = 0.05
"""The same, each time that it comes back for the answer."""

Ending = Literal["done", "out of time", "ended early", "disk nearly full"]


@dataclass(frozen=True)
class Planned:
    """A run to start."""

    run: ActiveRun
    why: str | None = None
    """What people are told of the choice; None: nothing."""


class Plan:
    """Chooses the runs of one study. ``records`` are the driver's, which changes them."""

    def __init__(
        self,
        study: StudyConfig,
        records: Records,
        optuna_study: OptunaStudy,
        stopping: Stopping,
        spending: Spending,
        gate: RegistryGate,
    ) -> None:
        self._study, self._records, self._gate = study, records, gate
        self._optuna_study, self._stopping, self._spending = optuna_study, stopping, spending
        self._disk = DiskRoom(study, records)
        self.out_of_time = False
        """Whether a run did not fit what is left of a limit."""
        self.disk_full: str | None = None
        """Why no run may start for want of disk space, in a sentence; None if one may."""
        self.disk_was_full = False
        """Whether a run found the disk full. Then no other is started."""
        self.ending: str | None = None
        """Why the study ends early, in a sentence; None if it does not."""

    @property
    def outcome(self) -> Ending:
        """How a study ends that starts no run any more."""
        if self.disk_full is not None:
            return "disk nearly full"
        if self.out_of_time:
            return "out of time"
        return "done" if self.ending is None else "ended early"

    @property
    def waiting(self) -> bool:
        """Whether Optuna's storage has not answered yet, so that a run may come later."""
        return self._optuna_study.waiting

    @property
    def probes_left(self) -> int:
        return max(0, self._study.trials - self._records.probes)

    def next(self, active: Collection[ActiveRun]) -> Planned | None:
        """The next run that fits the limits; None if there is none.

        An interrupted run comes first, then a full run, then a probe. If no trial was admitted
        after all of them, a probe that nearly passed gets a second look.
        """
        keys = {run.record.key for run in active}
        for record in due_runs.due(self._study, self._records, keys, self._gate.open):
            run = ActiveRun.load(self._study, record)
            if self._fits(record.stage, record.epochs - len(run.reports), active):
                return Planned(run)
        if self.probes_left and not self._hopeless():
            if not self._fits("probe", self._study.stages.probe, active):
                return None
            if (probe := self._probe()) is not None:
                return Planned(probe)
            if self.waiting:
                return None
        if active or self.out_of_time or self.disk_full is not None:
            return None
        return self._second_look()

    def _fits(self, stage: Stage, epochs: int, active: Collection[ActiveRun]) -> bool:
        fit = self._spending.fits(epochs, active)
        self.out_of_time |= not fit
        if fit and not self.disk_was_full:
            self.disk_full = self._disk.lacks(stage, active)
        return fit and self.disk_full is None

    def stop_for(self, problem: str) -> None:
        """Starts no run any more: the disk was full although no run was expected to fill it."""
        self.disk_was_full, self.disk_full = True, problem

    def _probe(self) -> ActiveRun | None:
        first = not self._optuna_study.waiting
        asked = self._optuna_study.ask(FIRST_WAIT if first else NEXT_WAIT)
        if asked is None:
            self.ending = self._optuna_study.exhausted
            return None
        probe = TrialRecord(
            trial=asked.number,
            stage="probe",
            schedule=asked.schedule,
            params=asked.params,
            epochs=self._study.stages.probe,
        )
        return ActiveRun.load(self._study, probe)

    def _hopeless(self) -> bool:
        """Whether hardly any probe that is left can pass."""
        found = self._stopping.ending(self.probes_left)
        self.ending = found.reason if found is not None and found.end else None
        return self.ending is not None

    def _second_look(self) -> Planned | None:
        near = None if self._gate.open else due_runs.near_miss(self._study, self._records)
        if near is None or not self._fits("full", self._study.stages.full, []):
            return None
        run = ActiveRun.load(self._study, near)
        run.update(second_look=True)
        self._records[near.key] = run.record
        full = due_runs.next_replicate(self._study, self._records, run.record)
        if full is None:
            return None
        why = f"{near.label}: no trial was admitted, and this one nearly passed"
        return Planned(ActiveRun.load(self._study, full), why)
