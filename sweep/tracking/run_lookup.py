"""Finds a run by what a person calls it: STUDY/7, a trial directory, or an MLflow run's id."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from sweep.study.folder import RECORD, RUN_NAME, StudyFolder, study_names
from sweep.tracking import client as seam
from sweep.tracking import schema
from sweep.tracking.client import TrackingError
from uvtex.errors import UvtexError

NAMED = re.compile(
    r"(?P<study>[A-Za-z0-9][\w.-]*)/(?P<trial>\d+)(?:/(?P<name>probe|full(?:-\d+)?))?"
)
RUN_ID = re.compile(r"[0-9a-f]{32}")


class TrialName(NamedTuple):
    """The name of one run of one trial."""

    study: str
    trial: int
    name: str
    """See :attr:`sweep.study.folder.TrialRecord.name`."""


def find_run(run: str, uri: str, store: Path) -> Path:
    """The trial directory of ``run``.

    Args:
        run: ``STUDY/7`` (its full run if there is one, else its probe), ``STUDY/7/probe``, a trial
            directory, or an MLflow run id.
        uri: MLflow's tracking URI, for run ids.
        store: the folder that holds ``studies``.

    Raises:
        UvtexError: the run does not exist, or its name has none of these forms.
    """
    if (Path(run) / RECORD).is_file():
        return Path(run)
    if named := NAMED.fullmatch(run):
        names = [named["name"]] if named["name"] else ["full", "probe"]
        return _folder(run, store, named["study"], int(named["trial"]), names)
    if RUN_ID.fullmatch(run):
        found = _trial_of_run(run, uri)
        return _folder(run, store, found.study, found.trial, [found.name])
    raise UvtexError(
        f"{run}: names no run; give STUDY/7, STUDY/7/full, a trial directory, or an MLflow run id"
    )


def _folder(run: str, store: Path, study: str, trial: int, names: Sequence[str]) -> Path:
    paths = StudyFolder(store, study)
    if not paths.folder.is_dir():
        known = ", ".join(study_names(store)) or "none"
        raise UvtexError(f"{run}: there is no study {study} in {store}; the studies there: {known}")
    for name in names:
        folder = paths.run_dir(trial, name)
        if (folder / RECORD).is_file():
            return folder
    raise UvtexError(f"{run}: study {study} has no such run; `sweep status {study}` lists its runs")


def _trial_of_run(run_id: str, uri: str) -> TrialName:
    with seam.mapped_errors(f"look up run {run_id}", uri):
        tags = seam.client(uri).get_run(run_id).data.tags
    names = (schema.STUDY_TAG, schema.TRIAL_TAG, schema.STAGE_TAG)
    study, trial, name = (tags.get(tag, "") for tag in names)
    if not RUN_NAME.fullmatch(name) or not trial.isdecimal():
        raise TrackingError(
            f"{run_id}: this MLflow run shows no trial of a study; give the id of a trial's run"
        )
    return TrialName(study, int(trial), name)
