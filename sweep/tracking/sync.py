"""Makes MLflow agree with the trial directories of a study."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from sweep.study.config import StudyConfig
from sweep.study.folder import UNFINISHED, RunKey, TrialRecord
from sweep.study.lease import driver, shown_records
from sweep.study.search import space
from sweep.study.summary_record import read_summary
from sweep.tracking import schema
from sweep.tracking.client import RefusedError, TrackingError
from sweep.tracking.tracker import Tracker
from uvtex.runs.folder import RunFolder


class Synced(NamedTuple):
    """What MLflow has after a sync."""

    runs: int
    """The number of the study's runs."""
    versions: Mapping[RunKey, str]
    """The runs that were registered anew, and the numbers of their versions."""


def sync(study: StudyConfig, uri: str | None = None, *, anew: bool = False) -> Synced:
    """Makes MLflow agree with the trial directories of ``study``, and makes lost versions again.

    An MLflow run with epochs that the trial directory does not have is deleted and made again.

    A run that MLflow refuses does not keep the others from being synced.

    Args:
        uri: MLflow's tracking URI; None: the study's.
        anew: whether to go through the runs too that say of themselves that they are up to date. A
            hand may have changed them.

    Raises:
        TrackingError, RegistryError: MLflow is away, or refuses a run or a version.
        UvtexError: a trial directory or the summary is damaged.
    """
    from sweep.tracking.registry import restore

    paths = study.paths
    shown = study if uri is None else study.model_copy(update={"tracking_uri": uri})
    tracker = tracker_of(shown)
    found = shown_records(paths)
    state = _state(found, study)
    tracker.study_started(shown, state=state, began=began(found))
    refused = show_all(study, tracker, found, anew)
    tracker.study_decisions(found)
    versions = restore(study, found, shown.tracking_uri)
    if state != "running":
        tracker.study_ended(read_summary(study), paths.report, state, ended(found))
    if refused:
        raise TrackingError("\n".join(str(error) for error in refused))
    return Synced(len(found), versions)


def tracker_of(study: StudyConfig) -> Tracker:
    """The tracker of a study.

    Raises:
        TrackingError: see :class:`Tracker`.
    """
    return Tracker(study.tracking_uri, study.paths.artifacts, study.name)


def show_all(
    study: StudyConfig, tracker: Tracker, records: Sequence[TrialRecord], anew: bool = False
) -> list[RefusedError]:
    """Brings up to date those runs that MLflow lacks, or has otherwise than their directories.

    Args:
        anew: see :func:`sync`.

    Returns:
        Why MLflow refused runs. The others are up to date nevertheless.

    Raises:
        TrackingError: MLflow is away.
    """
    tracker.list_all()
    refused = []
    for record in records:
        digest = schema.digest(record, study.paths.run_dir(*record.key))
        if not anew and tracker.is_current(record, digest):
            continue
        try:
            show(study, tracker, record, anew)
        except RefusedError as error:
            refused.append(error)
    return refused


def show(study: StudyConfig, tracker: Tracker, record: TrialRecord, anew: bool = False) -> str:
    """Makes the MLflow run of ``record`` agree with its directory; returns the MLflow run's id.

    Args:
        anew: see :func:`sync`.
    """
    run_dir = study.paths.run_dir(*record.key)
    config = RunFolder(run_dir).read_settings()
    if config is None:  # the run died before its first step
        config = space.train_config(study, record.stage, record.params, record.seed)
    return tracker.show(record, run_dir, config, anew=anew)


def show_interrupted(study: StudyConfig) -> None:
    """Ends the MLflow runs that a killed driver left as running.

    Raises:
        TrackingError: MLflow is away or refuses.
    """
    if driver(study.paths) is not None or not study.paths.settings.is_file():
        return
    found = shown_records(study.paths)
    tracker = tracker_of(study)
    for record in found:
        if record.state == "interrupted" and tracker.run_id(record):
            show(study, tracker, record)
    if tracker.is_running():
        tracker.study_ended(read_summary(study), None, _state(found, study), ended(found))


def show_end(study: StudyConfig) -> None:
    """Shows the summary and the report of a study that no driver runs.

    Raises:
        TrackingError: MLflow is away or refuses.
    """
    found = shown_records(study.paths)
    state, summary = _state(found, study), read_summary(study)
    if state != "running":
        tracker_of(study).study_ended(summary, study.paths.report, state, ended(found))


def began(records: Sequence[TrialRecord]) -> float | None:
    """When the first run began, in Unix seconds; None if none did."""
    return min((r.started for r in records if r.started is not None), default=None)


def ended(records: Sequence[TrialRecord]) -> float:
    """When the last run ended, in Unix seconds; 0 if none did."""
    return max((r.ended or r.started or 0.0 for r in records), default=0.0)


def _state(found: Sequence[TrialRecord], study: StudyConfig) -> str:
    if driver(study.paths) is not None:
        return "running"
    unfinished = any(record.state in UNFINISHED for record in found)
    return "interrupted" if unfinished else "complete"
