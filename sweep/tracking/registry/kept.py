"""A copy, in the store, of what the registry holds of the store's studies.

MLflow's database is the only other place of the champion's history and of the words of a decision.
With the copy, a lost registry is made again as it was. The checkpoints' digests tell the versions,
because another registry may give them other numbers.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, ValidationError

from sweep.study.config import StudyConfig
from sweep.study.folder import tracking_uri
from sweep.study.urls import masked
from sweep.tracking.registry import history
from sweep.tracking.registry.history import Event
from sweep.tracking.registry.version_record import CHECKPOINT_DIGEST, MODEL
from uvtex.errors import UvtexError
from uvtex.files import remove_leftovers, write_atomic

if TYPE_CHECKING:
    from mlflow import MlflowClient

FILE = "registry.json"
"""The copy's name in the store."""


class KeptVersion(BaseModel):
    """A version, but for the ids of its run and its model."""

    model_config = ConfigDict(frozen=True)

    number: int
    """Its number in the registry that the copy is of."""
    tags: dict[str, str]
    description: str


class KeptEvent(BaseModel):
    """One change of the champion. ``event`` has the numbers of the registry that was copied."""

    model_config = ConfigDict(frozen=True)

    event: Event
    version: str
    """The checkpoint digest of the version that became champion."""
    before: str | None
    """That of the version that was champion until then; None: none, or one of another store."""


class KeptRegistry(BaseModel):
    """What one registry holds of a store's studies."""

    versions: dict[str, KeptVersion] = {}
    """Checkpoint digest -> version."""
    events: dict[str, KeptEvent] = {}
    """Key in the registry -> change of the champion."""


class _File(BaseModel):
    registries: dict[str, KeptRegistry] = {}
    """Registry -> its copy. The name is a server's address, or empty: the store's database."""


def read_kept(study: StudyConfig) -> KeptRegistry:
    """The copy of the registry that the study's settings name.

    Raises:
        UvtexError: the file is damaged.
    """
    return _read(study.store).registries.get(_name(study.store, study.tracking_uri), KeptRegistry())


def keep(client: MlflowClient, store: Path, uri: str) -> None:
    """Brings the copy of the registry at ``uri`` up to date. Nothing is taken out of it.

    The caller holds :func:`history.changing`, so no other process writes the copy.
    """
    remove_leftovers(store, FILE)
    found = _read(store)
    kept = found.registries.setdefault(_name(store, uri), KeptRegistry())
    before = found.model_dump_json()
    digests = {}
    for number, version in history.versions(client).items():
        digest = version.tags.get(CHECKPOINT_DIGEST)
        if digest is None:
            continue
        digests[number] = digest
        if _is_here(store, version.tags.get("sweep.study")):
            tags = {k: v for k, v in version.tags.items() if k.startswith("sweep.")}
            kept.versions[digest] = KeptVersion(
                number=int(number), tags=tags, description=version.description or ""
            )
    tags = client.get_registered_model(MODEL).tags
    for key, event in history.read_events(tags).items():
        crowned = digests.get(event.version)
        if crowned in kept.versions and crowned is not None:
            former = None if event.before is None else digests.get(event.before)
            kept.events.setdefault(key, KeptEvent(event=event, version=crowned, before=former))
    if found.model_dump_json() != before:
        write_atomic(store / FILE, found.model_dump_json(indent=1).encode())


def _is_here(store: Path, study: str | None) -> bool:
    return study is not None and (store / "studies" / study).is_dir()


def _read(store: Path) -> _File:
    path = store / FILE
    try:
        return _File.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return _File()
    except ValidationError as error:
        raise UvtexError(
            f"{path}: is damaged, so the registry's history before today is lost if MLflow loses "
            f"it; move the file away, and the next answer of the registry writes it anew: "
            f"{error.error_count()} problems"
        ) from None


def _name(store: Path, uri: str) -> str:
    """The store's own database, which moves with it, is nameless."""
    return "" if uri == tracking_uri(store) else masked(uri)
