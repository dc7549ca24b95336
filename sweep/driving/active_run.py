"""The driver's state of one run: record, trial directory, epochs so far."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from sweep.launchers.base import Job
from sweep.study.config import StudyConfig
from sweep.study.folder import State, TrialRecord, write_record
from sweep.study.search import space
from uvtex.config import TrainConfig
from uvtex.errors import DataError
from uvtex.runs.epochs import EpochReport, best_epoch, read_epochs


@dataclass
class ActiveRun:
    """A run in a slot, or one that may be started next."""

    record: TrialRecord
    run_dir: Path
    config: TrainConfig
    reports: dict[int, EpochReport]
    began: float = 0.0
    """When this driver started or resumed the run, by the driver's clock."""
    stopped: State | Literal["interrupted"] | None = None
    """Why the driver told the worker to stop; None if it did not."""
    seconds: list[float] = field(default_factory=list)
    """Durations of the epochs that this driver saw."""
    fresh: bool = True
    """Whether its worker has not reported an epoch yet."""
    hung: str | None = None
    """Why the driver killed its worker, as a predicate of ``worker``; None if it did not."""
    broken: str | None = None
    """What is wrong with the reports on disk; None if nothing is."""
    furthest: int = 0
    """The latest epoch that the run ever reached. One that began anew has to reach it again."""

    @classmethod
    def load(cls, study: StudyConfig, record: TrialRecord) -> ActiveRun:
        """The run of ``record`` with its epochs on disk."""
        run_dir = study.paths.run_dir(*record.key)
        config = space.train_config(study, record.stage, record.params, record.seed)
        broken = None
        try:
            reports = {r.epoch: r for r in read_epochs(run_dir)}
        except DataError as error:  # its worker puts the file aside, and begins the run anew
            reports, broken = {}, str(error)
        furthest = max(reports, default=0)
        return cls(record, run_dir, config, reports, furthest=furthest, broken=broken)

    def job(self, study: StudyConfig) -> Job:
        """What its worker is told."""
        return Job(
            config=self.config.model_dump(mode="json"),
            data=str(study.data.path),
            run_dir=str(self.run_dir),
            resume=True,  # a trainer that finds no checkpoint starts at epoch 1
            grids=study.grids,
            test=self.record.stage == "full" and self.config.test_split > 0,
        )

    @property
    def metrics(self) -> list[dict[str, float]]:
        """Validation metrics of every epoch, in order."""
        return [self.reports[epoch].val for epoch in sorted(self.reports)]

    @property
    def epoch_seconds(self) -> list[float]:
        """Durations of all its epochs."""
        return [report.seconds for report in self.reports.values()]

    @property
    def epochs_left(self) -> int:
        return self.record.epochs - len(self.reports)

    @property
    def best(self) -> EpochReport | None:
        """The epoch with the best margin; None before the first."""
        return best_epoch([self.reports[epoch] for epoch in sorted(self.reports)])

    def add_epoch(self, report: EpochReport) -> list[EpochReport]:
        """Adds an epoch. Returns the epochs on disk that no event reported, and then this one.

        A trainer that was killed after an epoch's checkpoint and before its report resumes after
        that epoch, so no event reports the epoch. A trainer that found its files broken begins
        anew, so later epochs than this one do not exist any more.
        """
        self.reports = {e: known for e, known in self.reports.items() if e < report.epoch}
        self.reports[report.epoch] = report
        self.seconds.append(report.seconds)
        missed = self.catch_up() if len(self.reports) < report.epoch else []
        self.furthest = max(self.furthest, report.epoch)
        return [*missed, report]

    def catch_up(self) -> list[EpochReport]:
        """Adds the epochs on disk that no event reported, and returns them."""
        missed = [r for r in read_epochs(self.run_dir) if r.epoch not in self.reports]
        self.reports.update({report.epoch: report for report in missed})
        self.furthest = max(self.furthest, *self.reports, 0)
        return missed

    def end_time(self, now: float) -> float:
        """``now`` in Unix seconds, but not before the start: the clock may have been set back."""
        return now if self.record.started is None else max(now, self.record.started)

    def update(self, **changes: object) -> None:
        """Changes the record and writes it."""
        self.record = TrialRecord.model_validate(self.record.model_dump() | changes)
        write_record(self.run_dir, self.record)
