"""The gate to MLflow's model registry: what becomes a version of ``uvtex``, and which is champion.

A version holds an exported program that runs without our code, and beside it the checkpoint. The
alias ``champion`` only ever moves to a version that was measured against the one before it, on the
same validation pictures and by the same metrics.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sweep.study.folder import DEFAULT_STORE, TrialRecord, tracking_uri
from sweep.tracking import client as seam
from sweep.tracking.client import RegistryError
from uvtex.errors import UvtexError
from uvtex.metric_catalogue import same_definition
from uvtex.runs.epochs import EpochReport, best_epoch, read_epochs
from uvtex.runs.folder import RunFolder
from uvtex.thresholds import Threshold, margin

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

    from sweep.study.config import StudyConfig

__all__ = ["MODEL", "Promotion", "RegistryError", "champion", "fetch_checkpoint", "promote"]

MODEL = "uvtex"
ALIAS = "champion"

URI = re.compile(r"models:/(?P<name>[^/@]+)(?:@(?P<alias>[^/@]+)|/(?P<version>[0-9]+))")


@dataclass(frozen=True)
class Promotion:
    """What the gate said to a run."""

    registered: bool
    version: str | None
    champion: bool
    """Does the alias stand on this version now?"""
    reason: str


def promote(study: StudyConfig, record: TrialRecord, run_dir: Path, uri: str) -> Promotion:
    """Registers the run's best checkpoint if it passes, and makes it champion if it beats the one
    there is. Asking again changes nothing.

    Raises:
        RegistryError, TrackingError: MLflow is away or refuses; nothing is half registered.
        UvtexError: the run's checkpoint cannot be used.
    """
    from sweep.decisions.promotion import decide

    best = best_epoch(read_epochs(run_dir))
    if best is None:
        return Promotion(False, None, False, f"{record.label} has no epoch to judge")
    decision = decide(best.val, study.thresholds)
    if not decision.passed:
        return Promotion(False, None, False, f"not registered: {decision.reason}")
    checkpoint = _checkpoint_file(run_dir)
    with seam.mapped_errors(f"register {record.label}", uri, RegistryError):
        client = seam.client(uri)
        version = _registered(client, checkpoint) or _register(
            client, study, record, run_dir, best, uri
        )
        holds, why = _challenge(client, study, version, checkpoint, uri)
        if holds:
            client.set_registered_model_alias(MODEL, ALIAS, version)
    return Promotion(True, version, holds, f"{decision.reason}; {why}")


def champion(uri: str) -> dict[str, Any] | None:
    """The champion's version and what its tags say, or None if there is none yet.

    Raises:
        RegistryError: MLflow is away or refuses.
    """
    if _store_missing(uri):
        return None
    with seam.mapped_errors("look up the champion", uri, RegistryError):
        found = _champion(seam.client(uri))
    return None if found is None else _facts(found)


def fetch_checkpoint(uri_text: str) -> Path:
    """The checkpoint file of ``models:/NAME@ALIAS`` or ``models:/NAME/VERSION``.

    The registry is that of MLFLOW_TRACKING_URI, or of the store in ``mlruns`` below the current
    folder.

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
    if _store_missing(uri):
        raise RegistryError(
            f"{uri_text}: there is no MLflow store at {uri}; go to the folder that `sweep run` was "
            "run in, or set MLFLOW_TRACKING_URI"
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
    best: EpochReport,
    uri: str,
) -> str:
    """Exports, uploads, and last creates the version, which is what makes it exist."""
    from mlflow.entities import LoggedModelOutput

    from sweep.tracking import export
    from sweep.tracking.sync import sync_run
    from sweep.tracking.tracker import Tracker
    from uvtex.runs.checkpoint import load

    checkpoint = _checkpoint_file(run_dir)
    loaded = load(checkpoint)
    header = loaded.header
    tracker = Tracker(uri, study.paths.artifacts, study.name, system_metrics=False)
    # A version always has its run: MLflow looks one without up in the process's global store.
    run_id = tracker.run_id(record) or sync_run(tracker, record, run_dir)
    tags = _tags(study, record, best) | _encoded(
        run_id=run_id,
        data_fingerprint=header.data_fingerprint,
        metric_versions=json.dumps(header.metric_versions, sort_keys=True),
        checkpoint_sha256=_digest(checkpoint),
    )
    logged = client.create_logged_model(
        tracker.experiment_id, name=MODEL, source_run_id=run_id, tags=tags, model_type="predictor"
    )
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "model"
        export.save(
            loaded.predictor,
            loaded.config.image_size,
            folder,
            [checkpoint],
            run_id=run_id,
            model_id=logged.model_id,
        )
        client.log_model_artifacts(logged.model_id, str(folder))
    client.finalize_logged_model(logged.model_id, "READY")
    client.log_outputs(run_id, [LoggedModelOutput(logged.model_id, best.epoch)])
    _ensure_model(client)
    made = client.create_model_version(
        MODEL,
        source=logged.artifact_location,  # models:/ID is looked up in the global store
        run_id=run_id,
        tags=tags,
        description=_description(study, record, best.val),
        model_id=logged.model_id,
    )
    return str(made.version)


def _challenge(
    client: MlflowClient, study: StudyConfig, version: str, checkpoint: Path, uri: str
) -> tuple[bool, str]:
    """Is ``version`` the champion from now on, and why."""
    holder = _champion(client)
    if holder is None:
        return True, "the first champion"
    if str(holder.version) == version:
        return True, "already the champion"
    theirs, ours = _facts(holder), _facts(client.get_model_version(MODEL, version))
    name = f"version {holder.version} ({theirs['study']}/{theirs['trial']})"
    if _comparable(ours, theirs, study.thresholds):
        new, old = (_margin(facts["metrics"], study) for facts in (ours, theirs))
        how = "by their records, on the same validation pictures"
    else:
        try:
            old_file = _download(client, MODEL, str(holder.version), uri)
            measured, new = _measure_both(study, old_file, checkpoint)
            old, how = measured, "both measured on this study's validation pictures"
        except UvtexError as error:
            return False, (
                f"{name} stays champion, since the two cannot be compared: {error}; set the alias "
                "in `sweep ui` if you prefer the new one"
            )
    if new > old:
        return True, f"beats {name}, margin {new:+.4f} against {old:+.4f}, {how}"
    return False, f"{name} stays champion, margin {old:+.4f} against {new:+.4f}, {how}"


def _comparable(
    ours: Mapping[str, Any], theirs: Mapping[str, Any], thresholds: Sequence[Threshold]
) -> bool:
    """Same validation pictures (their digest), and figures of one definition for each threshold.

    What a version does not say is not the same as anything.
    """
    pictures = ours["data_fingerprint"]
    if pictures is None or pictures != theirs["data_fingerprint"]:
        return False
    return all(
        t.metric in ours["metrics"]
        and t.metric in theirs["metrics"]
        and same_definition(t.metric, ours["metric_versions"], theirs["metric_versions"])
        for t in thresholds
    )


def _measure_both(study: StudyConfig, old: Path, new: Path) -> tuple[float, float]:
    """Margins of two checkpoints on the validation side of the new one.

    Should the old one have been trained on these very liveries, that is to its advantage, so a
    challenger never wins by it.
    """
    from uvtex.data.store import PairStore
    from uvtex.evaluation.measure import measure
    from uvtex.metrics.lpips import load_lpips
    from uvtex.runs.checkpoint import load

    before, after = load(old), load(new)
    if before.config.image_size != after.config.image_size:
        raise RegistryError(
            f"one makes {before.config.image_size} px textures, the other "
            f"{after.config.image_size} px"
        )
    config = after.config.model_copy(update={"device": "cpu", "precision": "float32"})
    store = PairStore.open(study.data.path, config)
    lpips = load_lpips(config.lpips_backbone, store.device)
    first, second = (
        measure(loaded.predictor, loaded.renderer, store, config, lpips)
        for loaded in (before, after)
    )
    return _margin(first, study), _margin(second, study)


def _margin(metrics: Mapping[str, Any], study: StudyConfig) -> float:
    missing = [t.metric for t in study.thresholds if t.metric not in metrics]
    return -math.inf if missing else margin(metrics, study.thresholds)


def _registered(client: MlflowClient, checkpoint: Path) -> str | None:
    """The version made of this very checkpoint, if there is one."""
    digest = _digest(checkpoint)
    found = client.search_model_versions(
        f"name = '{MODEL}' and tag.`sweep.checkpoint_sha256` = '{digest}'"
    )
    return str(found[0].version) if found else None


def _champion(client: MlflowClient) -> ModelVersion | None:
    from mlflow.exceptions import MlflowException

    try:
        return client.get_model_version_by_alias(MODEL, ALIAS)
    except MlflowException as error:
        # A missing alias is reported as an invalid parameter, a missing model as not existing.
        if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            return None
        raise


def _ensure_model(client: MlflowClient) -> None:
    if not client.search_registered_models(f"name = '{MODEL}'"):
        client.create_registered_model(
            MODEL, description="Showroom picture of the car (uint8 [N, H, W, 3]) to UV texture."
        )


def _download(client: MlflowClient, name: str, version: str, uri: str) -> Path:
    """A version's checkpoint: where it lies if that is on this machine, otherwise a copy."""
    with seam.known_warnings():
        from mlflow.artifacts import download_artifacts

    # A models:/ address would be looked up in the process's global store.
    source = client.get_model_version_download_uri(name, version)
    folder = Path(download_artifacts(f"{source}/extra_files", tracking_uri=uri))
    files = sorted(folder.glob("*.safetensors"))
    if len(files) != 1:
        raise RegistryError(
            f"models:/{name}/{version} has {len(files)} checkpoints beside the model, expected 1; "
            "was it registered by `sweep`?"
        )
    return files[0]


def _tags(study: StudyConfig, record: TrialRecord, best: EpochReport) -> dict[str, str]:
    return _encoded(
        study=study.name,
        trial=str(record.trial),
        stage=record.stage,
        schedule=record.schedule,
        epoch=str(best.epoch),
        metrics=json.dumps(best.val),
        thresholds=json.dumps([t.model_dump(exclude_none=True) for t in study.thresholds]),
        margin=repr(margin(best.val, study.thresholds)),
    )


def _encoded(**facts: str) -> dict[str, str]:
    return {f"sweep.{key}": value for key, value in facts.items()}


def _facts(version: ModelVersion) -> dict[str, Any]:
    """A version's tags, decoded; None for what a version made by other hands does not say."""
    tags = {key.removeprefix("sweep."): value for key, value in version.tags.items()}
    facts: dict[str, Any] = {"version": str(version.version)}
    for key in ("study", "trial", "stage", "schedule", "run_id", "data_fingerprint"):
        facts[key] = tags.get(key)
    facts["metric_versions"] = json.loads(tags.get("metric_versions", "{}"))
    facts["epoch"] = int(tags["epoch"]) if "epoch" in tags else None
    facts["metrics"] = json.loads(tags.get("metrics", "{}"))
    thresholds = json.loads(tags.get("thresholds", "[]"))
    facts["thresholds"] = [str(Threshold(**threshold)) for threshold in thresholds]
    facts["margin"] = float(tags["margin"]) if "margin" in tags else None
    return facts


def _description(study: StudyConfig, record: TrialRecord, metrics: Mapping[str, float]) -> str:
    passed = ", ".join(f"{t.metric} {metrics[t.metric]:.4f} ({t})" for t in study.thresholds)
    return f"Study `{study.name}`, trial {record.label}. Passed with {passed}."


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


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _store_missing(uri: str) -> bool:
    """Looking must not create a store."""
    return seam.is_local(uri) and not Path(uri.removeprefix("sqlite:///")).is_file()
