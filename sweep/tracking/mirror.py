"""Passes the driver's events on to MLflow, and survives an outage of MLflow."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from sweep.study.config import StudyConfig
from sweep.study.folder import Gate, TrialRecord
from sweep.study.summary_record import Summary
from sweep.tracking.client import RefusedError
from uvtex.config import TrainConfig
from uvtex.errors import UvtexError
from uvtex.runs.epochs import EpochReport

if TYPE_CHECKING:
    from sweep.tracking.registry import Candidate
    from sweep.tracking.tracker import Tracker


class MlflowMirror:
    """Logs the events of a study to MLflow. An outage of MLflow never stops the study.

    After a failure the mirror warns once. It sends nothing for the rest of that run, because each
    call to a server that is away costs a timeout. It tries again when the next run starts. At the
    end it syncs everything that MLflow misses.
    """

    def __init__(self, study: StudyConfig, warn: Callable[[str], None]) -> None:
        self._study = study
        self._warn = warn
        self._tracker: Tracker | None = None
        self.behind = False
        """Whether MLflow misses an event."""
        self._muted = False
        self._warned = False

    def study_started(self) -> None:
        self._call(self._start)

    def run_started(self, record: TrialRecord, config: TrainConfig, run_dir: Path) -> None:
        self._muted = False
        self._call(lambda: self._open().trial_started(record, config, run_dir))

    def epoch(self, record: TrialRecord, report: EpochReport) -> None:
        self._call(lambda: self._open().epoch(record, report))

    def run_ended(self, record: TrialRecord, run_dir: Path) -> None:
        self._call(lambda: self._open().trial_ended(record, run_dir))

    def run_interrupted(self, record: TrialRecord) -> None:
        self._call(lambda: self._open().trial_interrupted(record))

    def study_ended(self, summary: Summary, report: Path | None, state: str) -> None:
        """Syncs the events that MLflow misses, then logs the summary and the report."""
        self._muted = False
        if self.behind:
            self._call(self._sync)
        self._call(lambda: self._open().study_ended(summary, report, state))

    def promote(self, candidate: Candidate) -> Gate | None:
        """The registry's answer to a run that was admitted; None if the registry is away."""
        answer: list[Gate] = []
        if self.behind:  # the version links to its run, so MLflow must have the run
            self._muted = False
            self._call(self._sync)
            self._muted = False  # the gate is asked even if MLflow refuses something else
        self._call(lambda: answer.append(self._promote(candidate)))
        return answer[0] if answer else None

    def decided(self, records: Iterable[TrialRecord]) -> None:
        """Shows on the study's run what was decided on its trials."""
        self._call(lambda: self._open().study_decisions(records))

    def close(self) -> None:
        if self._tracker is not None:
            self._tracker.close()

    def _open(self) -> Tracker:
        from sweep.tracking.tracker import Tracker

        if self._tracker is None:
            study = self._study
            self._tracker = Tracker(study.tracking_uri, study.paths.artifacts, study.name)
        return self._tracker

    def _start(self) -> None:
        self._open().study_started(self._study)

    def _sync(self) -> None:
        from sweep.tracking.sync import sync

        sync(self._study)
        self.behind = self._warned = False

    def _promote(self, candidate: Candidate) -> Gate:
        from sweep.tracking.registry import promote

        return promote(self._study, candidate, self._study.tracking_uri)

    def _call(self, action: Callable[[], object]) -> None:
        if self._muted:
            return
        try:
            action()
        except UvtexError as error:
            if not self._warned:
                self._warn(f"MLflow misses events; the study goes on without it: {error}")
            self.behind = self._warned = True
            self._muted = not isinstance(error, RefusedError)
