"""MLflow's model registry: registers versions of ``uvtex``, and sets the champion's alias.

A version holds an exported program that runs without this package's code, and beside it the
checkpoint. Which version is champion is decided in :mod:`sweep.decisions.gate`; this module
fetches the figures, measures them where it must, and carries the decision out.
"""

from __future__ import annotations

import os
import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from sweep.decisions.gate import GateDecision, decide_champion, incomparable
from sweep.decisions.promotion import decide
from sweep.study.folder import DEFAULT_STORE, Gate, TrialRecord, tracking_uri
from sweep.study.judged import Judged, judged
from sweep.tracking import client as seam
from sweep.tracking.client import RegistryError
from sweep.tracking.version_record import (
    CHECKPOINT_DIGEST,
    VersionRecord,
    read_version,
    version_description,
    version_tags,
)
from uvtex.errors import UvtexError
from uvtex.files import sha256_of
from uvtex.runs.epochs import EpochReport, best_epoch, read_epochs
from uvtex.runs.folder import RunFolder

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

    from sweep.study.config import StudyConfig
    from sweep.tracking.tracker import Tracker
    from uvtex.runs.checkpoint import Checkpoint

MODEL = "uvtex"
ALIAS = "champion"

URI = re.compile(r"models:/(?P<name>[^/@]+)(?:@(?P<alias>[^/@]+)|/(?P<version>[0-9]+))")


def promote(
    study: StudyConfig, record: TrialRecord, run_dir: Path, uri: str, admitted: str = ""
) -> Gate:
    """Registers the run's best checkpoint if it passes all thresholds of ``study``.

    It is judged by the test side where the run has one, else by the validation side.

    The new version becomes champion if the gate decides so. A second call changes nothing.

    Args:
        admitted: why the trial was admitted, in words; by default, that the run passes.

    Raises:
        RegistryError, TrackingError: MLflow is away or refuses; no version was registered in part.
        UvtexError: the run's checkpoint cannot be used.
    """
    best = best_epoch(read_epochs(run_dir))
    if best is None:
        return Gate(registered=False, reason=f"{record.label} has no epoch to judge")
    found = judged(run_dir)
    assert found is not None  # it has an epoch
    decision = decide(found.metrics, study.thresholds)
    if not decision.passed:
        return Gate(registered=False, reason=f"not registered: {decision.reason}")
    checkpoint = _checkpoint_file(run_dir)
    with seam.mapped_errors(f"register {record.label}", uri, RegistryError):
        client = seam.client(uri)
        version = _registered(client, checkpoint) or _register(
            client, study, record, run_dir, (best, found), uri
        )
        answer = _challenge(client, study, version, checkpoint, uri)
        if answer.champion:
            client.set_registered_model_alias(MODEL, ALIAS, version)
    return Gate(
        registered=True,
        version=version,
        champion=answer.champion,
        reason=f"{admitted or decision.reason}; {answer.reason}",
    )


def champion(uri: str) -> VersionRecord | None:
    """The record of the champion's version, or None if there is no champion yet.

    Raises:
        RegistryError: MLflow is away or refuses.
    """
    if seam.is_missing(uri):
        return None
    with seam.mapped_errors("look up the champion", uri, RegistryError):
        found = _champion(seam.client(uri))
    return None if found is None else read_version(found)


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
            f"models:/{MODEL}@{ALIAS}"
        )
    uri = os.environ.get("MLFLOW_TRACKING_URI") or tracking_uri(DEFAULT_STORE)
    if seam.is_missing(uri):
        raise RegistryError(
            f"{uri_text}: there is no MLflow store at {uri}; change to the folder in which "
            "`sweep run` was run, or set MLFLOW_TRACKING_URI"
        )
    name = match["name"]
    with seam.mapped_errors(f"fetch {uri_text}", uri, RegistryError):
        client = seam.client(uri)
        version = (
            match["version"] or client.get_model_version_by_alias(name, match["alias"]).version
        )
        return _download(client, name, str(version), uri)


def _register(
    client: MlflowClient,
    study: StudyConfig,
    record: TrialRecord,
    run_dir: Path,
    figures: tuple[EpochReport, Judged],
    uri: str,
) -> str:
    """Exports and uploads the model. It creates the version last, so that it is complete."""
    from sweep.tracking.sync import sync_run
    from sweep.tracking.tracker import Tracker
    from uvtex.runs.checkpoint import load

    best, found = figures
    checkpoint = _checkpoint_file(run_dir)
    loaded = load(checkpoint)
    tracker = Tracker(uri, study.paths.artifacts, study.name, system_metrics=False)
    # A version always has its run: without one, MLflow would look it up in the process's store.
    run_id = tracker.run_id(record) or sync_run(tracker, record, run_dir)
    tags = version_tags(
        study,
        record,
        best,
        found,
        run_id=run_id,
        checkpoint_sha256=sha256_of(checkpoint),
    )
    model_id, location = _upload(client, tracker, loaded, checkpoint, run_id, tags, best.epoch)
    _ensure_model(client)
    made = client.create_model_version(
        MODEL,
        source=location,  # MLflow looks up models:/ID in the process's store
        run_id=run_id,
        tags=tags,
        description=version_description(study, record, found),
        model_id=model_id,
    )
    return str(made.version)


def _upload(
    client: MlflowClient,
    tracker: Tracker,
    loaded: Checkpoint,
    checkpoint: Path,
    run_id: str,
    tags: dict[str, str],
    epoch: int,
) -> tuple[str, str]:
    """Logs the exported predictor as a model of the run; returns its id and its location."""
    from mlflow.entities import LoggedModelOutput

    from sweep.tracking import export

    logged = client.create_logged_model(
        tracker.experiment_id, name=MODEL, source_run_id=run_id, tags=tags, model_type="predictor"
    )
    model_id, size = logged.model_id, loaded.config.image_size
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "model"
        export.save(loaded.predictor, size, folder, [checkpoint], run_id=run_id, model_id=model_id)
        client.log_model_artifacts(model_id, str(folder))
    client.finalize_logged_model(model_id, "READY")
    client.log_outputs(run_id, [LoggedModelOutput(model_id, epoch)])
    return model_id, logged.artifact_location


def _challenge(
    client: MlflowClient, study: StudyConfig, version: str, checkpoint: Path, uri: str
) -> GateDecision:
    """Fetches the figures of ``version`` and of the champion, and asks the gate."""
    from sweep.tracking.remeasure import measure_both

    holder = _champion(client)
    if holder is not None and str(holder.version) == version:
        return GateDecision(True, "already the champion")
    ours = read_version(client.get_model_version(MODEL, version)).figures
    if holder is None:
        return decide_champion(ours, None, study.thresholds)
    theirs = read_version(holder).figures
    problem = None
    if incomparable(ours, theirs, study.thresholds):
        try:
            old_file = _download(client, MODEL, str(holder.version), uri)
            ours, theirs = measure_both(study, (ours, checkpoint), (theirs, old_file))
        except UvtexError as error:
            problem = str(error)
    return decide_champion(ours, theirs, study.thresholds, problem)


def _registered(client: MlflowClient, checkpoint: Path) -> str | None:
    """The version with this checkpoint, if there is one."""
    digest = sha256_of(checkpoint)
    found = client.search_model_versions(
        f"name = '{MODEL}' and tag.`{CHECKPOINT_DIGEST}` = '{digest}'"
    )
    return str(found[0].version) if found else None


def _champion(client: MlflowClient) -> ModelVersion | None:
    from mlflow.exceptions import MlflowException

    try:
        return client.get_model_version_by_alias(MODEL, ALIAS)
    except MlflowException as error:
        # MLflow reports a missing alias as an invalid parameter.
        if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            return None
        raise


def _ensure_model(client: MlflowClient) -> None:
    if not client.search_registered_models(f"name = '{MODEL}'"):
        client.create_registered_model(
            MODEL, description="Showroom picture of the car (uint8 [N, H, W, 3]) to UV texture."
        )


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


def _checkpoint_file(run_dir: Path) -> Path:
    """The run's best checkpoint, by the ``checkpoint_name`` of its settings."""
    run = RunFolder(run_dir)
    config = run.read_settings()
    if config is None:
        raise RegistryError(f"{run.settings}: is missing, so the best checkpoint is not known")
    path = run.best(config.checkpoint_name)
    if not path.is_file():
        raise RegistryError(f"{path}: the run's best checkpoint is missing")
    return path
