"""Who is champion and challenger, since when and why; and the way back to an earlier champion."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sweep.study.urls import masked
from sweep.tracking import client as seam
from sweep.tracking.client import RegistryError
from sweep.tracking.registry import history
from sweep.tracking.registry.history import Event
from sweep.tracking.registry.kept import keep
from sweep.tracking.registry.version_record import MODEL, VersionRecord, read_version

if TYPE_CHECKING:
    from mlflow import MlflowClient


@dataclass(frozen=True)
class Standing:
    """What the registry says now."""

    champion: VersionRecord | None
    challenger: VersionRecord | None
    event: Event | None
    """How the champion became champion; None if the history does not know."""
    note: str | None
    """What is odd about the champion, in words."""
    events: Mapping[str, Event]
    """The history, oldest first."""


def standing(uri: str) -> Standing:
    """Champion, challenger and history, after finishing a change that was cut off.

    Raises:
        RegistryError: there is no store, MLflow is away, or it refuses.
    """
    _check_store(uri)
    with seam.mapped_errors("look up the champion", uri, RegistryError):
        client = seam.client(uri)
        if not history.has_model(client):
            return Standing(None, None, None, None, {})
        with history.changing(uri):
            history.settle(client)
        return _standing(client)


def rollback(uri: str, version: str | None, reason: str, store: Path | None = None) -> Standing:
    """Makes an earlier champion champion again; by default the last one before the present one.

    Args:
        version: a version's number. It need not have been champion before.
        reason: why, for the history.
        store: the store that keeps a copy of the registry's history; None: none.

    Raises:
        RegistryError: there is no such version, no earlier champion, or MLflow is away or refuses.
    """
    _check_store(uri)
    with seam.mapped_errors("roll back the champion", uri, RegistryError):
        client = seam.client(uri)
        if not history.has_model(client):
            raise RegistryError(
                f"MLflow at {masked(uri)}: nothing is registered yet, see `sweep promote`"
            )
        with history.changing(uri):
            history.settle(client)
            target = _target(client, version)
            if target is not None:
                history.crown(client, target, "rollback", reason)
                if store is not None:
                    keep(client, store, uri)
        return _standing(client)


def _target(client: MlflowClient, version: str | None) -> str | None:
    """The version to go back to; None if it is champion already."""
    there = history.versions(client)
    holder = history.holder_of(client, history.CHAMPION)
    now = None if holder is None else str(holder.version)
    if version is not None:
        if version not in there:
            listed = ", ".join(there) or "none"
            raise RegistryError(f"there is no version {version} of {MODEL}; there are: {listed}")
        return None if version == now else version
    events = history.read_events(client.get_registered_model(MODEL).tags)
    former = history.former_champions(list(events.values()), now)
    for earlier in former:
        if earlier in there:
            return earlier
    gone = f" (version {', '.join(former)} was deleted)" if former else ""
    raise RegistryError(
        f"no version was champion before {'this one' if now else 'now'}{gone}; give a VERSION, or "
        "promote another run: `sweep promote RUN`"
    )


def _standing(client: MlflowClient) -> Standing:
    champion = history.holder_of(client, history.CHAMPION)
    challenger = history.holder_of(client, history.CHALLENGER)
    events = history.read_events(client.get_registered_model(MODEL).tags)
    newest = list(events.values())[-1] if events else None
    now = None if champion is None else str(champion.version)
    known = newest is not None and newest.version == now
    return Standing(
        champion=None if champion is None else read_version(champion),
        challenger=None if challenger is None else read_version(challenger),
        event=newest if known else None,
        note=_note(newest, now),
        events=events,
    )


def _note(newest: Event | None, now: str | None) -> str | None:
    if newest is None:
        return None if now is None else "made champion before there was a history, or in MLflow"
    if now == newest.version:
        return None
    if now is None:
        return (
            f"version {newest.version} was champion, and was deleted or lost the alias in MLflow; "
            "to go back: `sweep rollback`"
        )
    return f"set in MLflow and not by `sweep`; version {newest.version} was champion before"


def _check_store(uri: str) -> None:
    if seam.is_missing(uri):
        raise RegistryError(
            f"{masked(uri)}: there is no MLflow store; change to the folder in which `sweep run` "
            "was run, or give --store or --uri"
        )
