"""The checkpoints of registered versions, as files."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from sweep.study.folder import DEFAULT_STORE, tracking_uri
from sweep.study.urls import masked
from sweep.tracking import client as seam
from sweep.tracking.client import RegistryError
from sweep.tracking.registry.history import CHAMPION
from sweep.tracking.registry.version_record import MODEL
from uvtex.runs.folder import RunFolder

if TYPE_CHECKING:
    from mlflow import MlflowClient

URI = re.compile(r"models:/(?P<name>[^/@]+)(?:@(?P<alias>[^/@]+)|/(?P<version>[0-9]+))")
NOT_THERE = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")
"""MLflow's codes for a model, an alias or a version that is not there."""


def fetch_checkpoint(uri_text: str) -> Path:
    """The checkpoint file of ``models:/NAME@ALIAS`` or ``models:/NAME/VERSION``.

    The registry is the one at MLFLOW_TRACKING_URI, by default that of the store ``mlruns`` in the
    current folder.

    Raises:
        RegistryError: the URI is malformed, there is no such model, or it has no checkpoint.
    """
    match = URI.fullmatch(uri_text)
    if match is None:
        raise RegistryError(
            f"{uri_text}: must be models:/NAME@ALIAS or models:/NAME/VERSION, such as "
            f"models:/{MODEL}@{CHAMPION}"
        )
    uri = os.environ.get("MLFLOW_TRACKING_URI") or tracking_uri(DEFAULT_STORE)
    if seam.is_missing(uri):
        raise RegistryError(
            f"{uri_text}: there is no MLflow store at {masked(uri)}; change to the folder in which "
            "`sweep run` was run, or set MLFLOW_TRACKING_URI"
        )
    name = match["name"]
    try:
        with seam.mapped_errors(f"fetch {uri_text}", uri, RegistryError):
            client = seam.client(uri)
            version = (
                match["version"] or client.get_model_version_by_alias(name, match["alias"]).version
            )
            return _download(client, name, str(version), uri)
    except RegistryError as error:
        if getattr(error.__cause__, "error_code", None) not in NOT_THERE:
            raise
        raise RegistryError(f"{error}; `sweep champion` says which model is there") from error


def _download(client: MlflowClient, name: str, version: str, uri: str) -> Path:
    """The checkpoint of a version: the file itself if it is on this machine, otherwise a copy."""
    with seam.known_warnings():
        from mlflow.artifacts import download_artifacts

    # MLflow looks up a models:/ address in the process's global store.
    source = client.get_model_version_download_uri(name, version)
    folder = Path(download_artifacts(f"{source}/extra_files", tracking_uri=seam.absolute(uri)))
    files = sorted(folder.glob("*.safetensors"))
    if len(files) != 1:
        raise RegistryError(
            f"models:/{name}/{version} has {len(files)} checkpoints beside the model, expected 1; "
            "was it registered by `sweep`?"
        )
    return files[0]


def best_checkpoint(run_dir: Path) -> Path:
    """The run's best checkpoint, by the ``checkpoint_name`` of its settings.

    Raises:
        RegistryError: it is missing.
    """
    run = RunFolder(run_dir)
    config = run.read_settings()
    if config is None:
        raise RegistryError(f"{run.settings}: is missing, so the best checkpoint is not known")
    path = run.best(config.checkpoint_name)
    if not path.is_file():
        raise RegistryError(f"{path}: the run's best checkpoint is missing")
    return path
