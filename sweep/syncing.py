"""Making MLflow show what the trial directories say, whatever it missed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from sweep.config import StudyConfig
from sweep.record import TrialRecord, epoch_lines, records
from sweep.tracking import Tracker
from uvtex.config import TrainConfig, load_yaml, validate


def sync(study_dir: Path, uri: str, artifact_root: Path | None = None) -> int:
    """Makes MLflow show what the trial directories of a study say; returns the number of runs.

    A run that shows epochs which did not happen is deleted and made again.

    Raises:
        TrackingError: MLflow is away or refuses.
        UvtexError: a trial directory is damaged.
    """
    config = _study(study_dir)
    tracker = Tracker(
        uri, artifact_root or config.store / "artifacts", config.name, system_metrics=False
    )
    tracker.study_started(config)
    found = records(study_dir)
    for record in found:
        project(tracker, record, study_dir / "trials" / f"{record.trial:04d}" / record.stage)
    tracker.study_ended(
        _summary(study_dir),
        study_dir / "report.html",
        "running" if any(record.state == "running" for record in found) else "complete",
    )
    return len(found)


def project(tracker: Tracker, record: TrialRecord, run_dir: Path) -> str:
    """Makes the child run of ``record`` show what its trial directory says; returns its id."""
    lines = epoch_lines(run_dir)
    if not tracker.agrees(record, lines):
        tracker.forget(record)
    settings = run_dir / "config.yaml"
    if settings.is_file():
        config = validate(TrainConfig, load_yaml(settings), str(settings))
    else:  # it died before its first step
        config = TrainConfig()
    run_id = tracker.trial_started(record, config, run_dir, live=False)
    clock = record.started or 0.0
    for line in lines:
        clock += float(line["seconds"])
        tracker.epoch(record, line, at=clock)
    if record.state != "running":
        tracker.trial_ended(record, run_dir)
    return run_id


def _study(study_dir: Path) -> StudyConfig:
    path = study_dir / "study.yaml"
    return validate(StudyConfig, load_yaml(path), str(path))


def _summary(study_dir: Path) -> dict[str, Any]:
    path = study_dir / "summary.json"
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else {}
