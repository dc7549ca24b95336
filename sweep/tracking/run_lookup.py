"""Which trial an MLflow run shows, by the tags that the tracker gave it."""

from __future__ import annotations

from typing import NamedTuple

from sweep.study.folder import RUN_NAME
from sweep.tracking import client as seam
from sweep.tracking import schema
from sweep.tracking.client import TrackingError


class TrialName(NamedTuple):
    """The name of one run of one trial."""

    study: str
    trial: int
    name: str
    """See :attr:`sweep.study.folder.TrialRecord.name`."""


def trial_of_run(run_id: str, uri: str) -> TrialName:
    """The trial whose MLflow run is ``run_id``.

    Raises:
        TrackingError: there is no such run, MLflow is away, or the run shows no trial.
    """
    with seam.mapped_errors(f"look up run {run_id}", uri):
        tags = seam.client(uri).get_run(run_id).data.tags
    names = (schema.STUDY_TAG, schema.TRIAL_TAG, schema.STAGE_TAG)
    study, trial, name = (tags.get(tag, "") for tag in names)
    if not RUN_NAME.fullmatch(name) or not trial.isdecimal():
        raise TrackingError(
            f"{run_id}: this MLflow run shows no trial of a study; give the id of a trial's run"
        )
    return TrialName(study, int(trial), name)
