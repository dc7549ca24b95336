"""The driver's line to MLflow: what it misses while it is away is made up afterwards."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sweep.study.config import StudyConfig
from sweep.study.folder import Gate, TrialRecord
from uvtex.config import TrainConfig
from uvtex.errors import UvtexError
from uvtex.runs.epochs import EpochReport

if TYPE_CHECKING:
    from sweep.tracking.tracker import Tracker


class MlflowMirror:
    """Passes on what happens, and never lets MLflow's absence stop the study.

    After a failure it says so once, is silent for the rest of that run (a server that is away
    costs a timeout a call), tries again when the next run starts, and syncs all of it at the end.
    """

    def __init__(self, study: StudyConfig, warn: Callable[[str], None]) -> None:
        self._study = study
        self._warn = warn
        self._tracker: Tracker | None = None
        self.behind = False
        """Whether MLflow misses anything."""
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

    def study_ended(self, summary: Mapping[str, Any], report: Path | None, state: str) -> None:
        """The study's last word, and whatever was missed before it."""
        self._muted = False
        if self.behind:
            self._call(self._sync)
        self._call(lambda: self._open().study_ended(summary, report, state))

    def promote(self, record: TrialRecord, run_dir: Path) -> Gate | None:
        """Asks the registry's gate; None if it is away, and to be asked again."""
        answer: list[Gate] = []
        if self.behind:  # the version will point at the run, so the run must be there
            self._muted = False
            self._call(self._sync)
        self._call(lambda: answer.append(self._promote(record, run_dir)))
        return answer[0] if answer else None

    def close(self) -> None:
        if self._tracker is not None:
            self._tracker.close()

    def _open(self) -> Tracker:
        from sweep.tracking.tracker import Tracker

        if self._tracker is None:
            study = self._study
            self._tracker = Tracker(study.tracking_uri, study.paths.artifacts, study.name)
            self.behind = self.behind or self._tracker.began_anew
        return self._tracker

    def _start(self) -> None:
        self._open().study_started(self._study)

    def _sync(self) -> None:
        from sweep.tracking.sync import sync

        sync(self._study)
        self.behind = self._warned = False

    def _promote(self, record: TrialRecord, run_dir: Path) -> Gate:
        from sweep.tracking.registry import promote

        return promote(self._study, record, run_dir, self._study.tracking_uri)

    def _call(self, action: Callable[[], object]) -> None:
        if self._muted:
            return
        try:
            action()
        except UvtexError as error:
            if not self._warned:
                self._warn(f"MLflow misses something, the study goes on without: {error}")
            self.behind = self._muted = self._warned = True
