"""Makes versions, and the history of the champion, that a registry has lost or never had."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sweep.study.config import StudyConfig
from sweep.study.folder import RunKey, TrialRecord
from sweep.tracking import client as seam
from sweep.tracking.client import RegistryError
from sweep.tracking.registry import history
from sweep.tracking.registry.checkpoint_files import best_checkpoint
from sweep.tracking.registry.kept import KeptRegistry, KeptVersion, read_kept
from sweep.tracking.registry.upload import register, registered
from sweep.tracking.registry.version_record import CHECKPOINT_DIGEST, MODEL
from uvtex.files import sha256_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mlflow import MlflowClient


def restore(study: StudyConfig, records: Sequence[TrialRecord], uri: str) -> dict[RunKey, str]:
    """Registers the study's versions that the registry at ``uri`` lacks, in their old order.

    Each has the tags and the page that it had. Nothing is decided anew. The history of the champion
    is made again in the registry that it is of, and in one that has no history. Any other registry
    keeps its champion.

    Args:
        records: those of the study.

    Returns:
        The runs that were registered, and the numbers of their versions.

    Raises:
        RegistryError, TrackingError: MLflow is away or refuses.
        UvtexError: the copy of the registry is damaged.
    """
    kept = read_kept(study)
    mine = [v for v in kept.versions.values() if v.tags.get("sweep.study") == study.name]
    if not mine:
        return {}
    made: dict[RunKey, str] = {}
    with seam.mapped_errors("restore the versions", uri, RegistryError):
        client = seam.client(uri)
        virgin = not history.has_model(client)
        for version in sorted(mine, key=lambda version: version.number):
            record = _record(version, records)
            if record is None or not _is_whole(study, record, version):
                continue
            if registered(client, version.tags[CHECKPOINT_DIGEST]) is None:
                made[record.key] = register(
                    client, study, record, version.tags, uri, version.description
                )
        if history.has_model(client) and (virgin or uri == study.tracking_uri):
            with history.changing(uri):
                _restore_history(client, kept)
    return made


def _record(version: KeptVersion, records: Sequence[TrialRecord]) -> TrialRecord | None:
    trial, run = version.tags.get("sweep.trial"), version.tags.get("sweep.run")
    return next((r for r in records if (str(r.trial), r.name) == (trial, run)), None)


def _is_whole(study: StudyConfig, record: TrialRecord, version: KeptVersion) -> bool:
    """Whether the run still has the checkpoint of the version."""
    try:
        checkpoint = best_checkpoint(study.paths.run_dir(*record.key))
    except RegistryError:
        return False
    return sha256_of(checkpoint) == version.tags[CHECKPOINT_DIGEST]


def _restore_history(client: MlflowClient, kept: KeptRegistry) -> None:
    tags = client.get_registered_model(MODEL).tags
    for key, one in sorted(kept.events.items()):
        if key in tags or (version := registered(client, one.version)) is None:
            continue
        before = None if one.before is None else registered(client, one.before)
        event = one.event.model_copy(update={"version": version, "before": before})
        client.set_registered_model_tag(MODEL, key, event.model_dump_json())
    history.settle(client)
