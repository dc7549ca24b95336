"""Making MLflow show what the trial directories say, whatever it missed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from sweep.study.config import StudyConfig
from sweep.study.folder import StudyFolder, TrialRecord, records
from sweep.tracking.tracker import Tracker
from uvtex.config import TrainConfig
from uvtex.runs.epochs import read_epochs
from uvtex.runs.folder import RunFolder


def sync(study: StudyConfig) -> int:
    """Makes MLflow show what the trial directories of a study say; returns the number of runs.

    A run that shows epochs which did not happen is deleted and made again.

    Raises:
        TrackingError: MLflow is away or refuses.
        UvtexError: a trial directory is damaged.
    """
    paths = study.paths
    tracker = Tracker(study.tracking_uri, paths.artifacts, study.name, system_metrics=False)
    tracker.study_started(study)
    found = records(paths.folder)
    for record in found:
        sync_run(tracker, record, paths.run_dir(record.trial, record.stage))
    running = any(record.state == "running" for record in found)
    tracker.study_ended(_summary(paths), paths.report, "running" if running else "complete")
    return len(found)


def sync_run(tracker: Tracker, record: TrialRecord, run_dir: Path) -> str:
    """Makes the child run of ``record`` show what its trial directory says; returns its id."""
    reports = read_epochs(run_dir)
    if not tracker.agrees(record, reports):
        tracker.forget(record)
    # A run that died before its first step has no settings.
    config = RunFolder(run_dir).read_settings() or TrainConfig()
    run_id = tracker.trial_started(record, config, run_dir, live=False)
    clock = record.started or 0.0
    for report in reports:
        clock += report.seconds
        tracker.epoch(record, report, at=clock)
    if record.state != "running":
        tracker.trial_ended(record, run_dir)
    return run_id


def _summary(paths: StudyFolder) -> dict[str, Any]:
    if not paths.summary.is_file():
        return {}
    return dict(json.loads(paths.summary.read_text(encoding="utf-8")))
