"""The MLflow experiment of a study."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from sweep.study.urls import masked
from sweep.tracking import client as seam
from sweep.tracking.client import TrackingError

if TYPE_CHECKING:
    from mlflow import MlflowClient


_UPLOADING = ".artifact.uploading.*"
"""The names of the files that MLflow copies an artifact to before it gives it its name."""


def remove_unfinished_uploads(artifacts: Path | None) -> None:
    """Removes from a local experiment what processes that were killed had half copied into it.

    Args:
        artifacts: the experiment's folder of artifacts; None: they are a server's.
    """
    if artifacts is not None:
        for path in artifacts.rglob(_UPLOADING):
            path.unlink(missing_ok=True)


def find_experiment(client: MlflowClient, uri: str, study: str, artifact_root: Path | None) -> str:
    """The id of the study's experiment, which is created if it is missing.

    Args:
        artifact_root: the folder where a local store keeps artifacts. A server has its own.

    Raises:
        TrackingError: the experiment was deleted.
    """
    local = artifact_root if seam.is_local(uri) else None
    place = local and (local / study).resolve().as_uri()
    found = client.get_experiment_by_name(study)
    if found is None:
        # Without this tag, MLflow shows its pages for language models.
        kind = {"mlflow.experimentKind": "custom_model_development"}
        return str(client.create_experiment(study, artifact_location=place, tags=kind))
    if found.lifecycle_stage == "deleted":
        address, python = shlex.quote(masked(uri)), shlex.quote(sys.executable)
        raise TrackingError(
            f"MLflow at {masked(uri)}: the experiment {study!r} was deleted; restore it with "
            f"`MLFLOW_TRACKING_URI={address} {python} -m mlflow experiments restore "
            f"-x {found.experiment_id}`, "
            "or rename the study"
        )
    return str(found.experiment_id)
