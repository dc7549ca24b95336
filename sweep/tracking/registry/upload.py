"""Makes a version: exports the predictor, uploads it, and registers it.

A process that dies on the way leaves a logged model without a version. The next attempt goes on
with it if it is whole, and deletes it if it is not.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from sweep.study.folder import TrialRecord
from sweep.tracking import client as seam
from sweep.tracking.holdings import artifact_store
from sweep.tracking.registry import history
from sweep.tracking.registry.checkpoint_files import best_checkpoint
from sweep.tracking.registry.version_record import CHECKPOINT_DIGEST, MODEL, RUN_ID, unchanging
from uvtex.files import sha256_of

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import LoggedModel

    from sweep.study.config import StudyConfig

READY = "READY"
"""MLflow's status of a logged model that is whole."""


def registered(client: MlflowClient, digest: str) -> str | None:
    """The version of the checkpoint with this digest; None if there is none."""
    found = client.search_model_versions(
        f"name = '{MODEL}' and tag.`{CHECKPOINT_DIGEST}` = '{digest}'"
    )
    return min((str(version.version) for version in found), key=int, default=None)


def register(
    client: MlflowClient,
    study: StudyConfig,
    record: TrialRecord,
    tags: Mapping[str, str],
    uri: str,
    description: str | None = None,
) -> str:
    """Registers a run's best checkpoint; returns the number of the version.

    The version is created last, so that it is complete.

    Args:
        tags: those of the version. Its run and its checkpoint are added.
    """
    from sweep.tracking.sync import show, tracker_of

    checkpoint = best_checkpoint(study.paths.run_dir(*record.key))
    tracker = tracker_of(study.model_copy(update={"tracking_uri": uri}))
    # A version always has its run: without one, MLflow would look it up in the process's store.
    run_id = tracker.run_id(record) or show(study, tracker, record)
    own = {**tags, RUN_ID: run_id, CHECKPOINT_DIGEST: sha256_of(checkpoint)}
    model = _whole_model(client, tracker.experiment_id, own, uri)
    if model is None:
        model = client.create_logged_model(
            tracker.experiment_id, name=MODEL, source_run_id=run_id, tags=unchanging(own),
            model_type="predictor",
        )  # fmt: skip
        _upload(client, model, checkpoint, run_id, int(tags["sweep.epoch"]))
    if not history.has_model(client):
        client.create_registered_model(
            MODEL, description="Showroom picture of the car (uint8 [N, H, W, 3]) to UV texture."
        )
    made = client.create_model_version(
        MODEL,
        source=model.artifact_location,  # MLflow looks up models:/ID in the process's store
        run_id=run_id,
        tags=own,
        model_id=model.model_id,
        description=description,
        await_creation_for=0,  # a database has it at once
    )
    return str(made.version)


def set_tags(client: MlflowClient, version: str, tags: Mapping[str, str]) -> None:
    """Sets those tags of a version that differ."""
    known = client.get_model_version(MODEL, version).tags
    for key, value in tags.items():
        if known.get(key) != value:
            client.set_model_version_tag(MODEL, version, key, value)


def _whole_model(
    client: MlflowClient, experiment_id: str, tags: Mapping[str, str], uri: str
) -> LoggedModel | None:
    """A logged model of this checkpoint and run that has no version; others are deleted."""
    query = f"tags.`{CHECKPOINT_DIGEST}` = '{tags[CHECKPOINT_DIGEST]}'"
    found: LoggedModel | None = None
    model: LoggedModel
    for model in seam.paged(
        lambda token: client.search_logged_models([experiment_id], query, page_token=token)
    ):
        if found is None and model.status == READY and model.tags.get(RUN_ID) == tags[RUN_ID]:
            found = model
        else:
            _delete(client, model, uri)
    return found


def _delete(client: MlflowClient, model: LoggedModel, uri: str) -> None:
    """Deletes a logged model, and its files, which MLflow would leave."""
    artifact_store.delete(uri, model.artifact_location)
    folder = artifact_store.local_folder(model.artifact_location)
    if folder is not None and folder.parent.name == model.model_id:
        with suppress(OSError):  # something else is in it
            folder.parent.rmdir()
    client.delete_logged_model(model.model_id)


def _upload(
    client: MlflowClient, model: LoggedModel, checkpoint: Path, run_id: str, epoch: int
) -> None:
    """Exports the predictor of a checkpoint, and uploads both into a logged model."""
    from mlflow.entities import LoggedModelOutput

    from sweep.tracking import export
    from uvtex.runs.checkpoint import load

    loaded, model_id = load(checkpoint), model.model_id
    size = loaded.config.image_size
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "model"
        export.save(loaded.predictor, size, folder, [checkpoint], run_id=run_id, model_id=model_id)
        client.log_model_artifacts(model_id, str(folder))
    client.log_outputs(run_id, [LoggedModelOutput(model_id, epoch)])
    client.finalize_logged_model(model_id, READY)
