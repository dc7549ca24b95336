"""Makes MLflow agree with the trial directories of a study."""

from __future__ import annotations

from pathlib import Path

from sweep.study.config import StudyConfig
from sweep.study.folder import UNFINISHED, TrialRecord
from sweep.study.lease import driver, shown_records
from sweep.study.summary_record import read_summary
from sweep.tracking.client import RefusedError, TrackingError
from sweep.tracking.tracker import Tracker
from uvtex.config import TrainConfig
from uvtex.runs.epochs import read_epochs
from uvtex.runs.folder import RunFolder


def sync(study: StudyConfig) -> int:
    """Makes MLflow agree with the trial directories of ``study``; returns the number of runs.

    An MLflow run with epochs that the trial directory does not have is deleted and made again.

    A run that MLflow refuses does not keep the others from being synced.

    Raises:
        TrackingError: MLflow is away, or refuses a run.
        UvtexError: a trial directory or the summary is damaged.
    """
    paths = study.paths
    tracker = Tracker(study.tracking_uri, paths.artifacts, study.name, system_metrics=False)
    tracker.study_started(study)
    found = shown_records(paths)
    refused: list[str] = []
    for record in found:
        try:
            sync_run(tracker, record, paths.run_dir(*record.key))
        except RefusedError as error:
            refused.append(str(error))
    tracker.study_decisions(found)
    tracker.study_ended(read_summary(study), paths.report, _state(found, study))
    if refused:
        raise TrackingError("\n".join(refused))
    return len(found)


def sync_run(tracker: Tracker, record: TrialRecord, run_dir: Path) -> str:
    """Makes the MLflow run of ``record`` agree with ``run_dir``; returns the MLflow run's id."""
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
    if record.state == "interrupted":
        tracker.trial_interrupted(record)
    elif record.state != "running":
        tracker.trial_ended(record, run_dir)
    return run_id


def show_interrupted(study: StudyConfig) -> None:
    """Ends the MLflow runs that a killed driver left as running.

    Raises:
        TrackingError: MLflow is away or refuses.
    """
    if driver(study.paths) is not None or not study.paths.settings.is_file():
        return
    found = shown_records(study.paths)
    tracker = Tracker(study.tracking_uri, study.paths.artifacts, study.name, system_metrics=False)
    for record in found:
        if record.state == "interrupted" and tracker.run_id(record):
            tracker.trial_interrupted(record)
    if tracker.is_running():
        tracker.study_ended(read_summary(study), None, _state(found, study))


def _state(found: list[TrialRecord], study: StudyConfig) -> str:
    if driver(study.paths) is not None:
        return "running"
    unfinished = any(record.state in UNFINISHED for record in found)
    return "interrupted" if unfinished else "complete"
