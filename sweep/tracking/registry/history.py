"""Which version was champion when and why: an event a tag of the registered model.

An event is written once, under a key that no other has, and is never changed or removed. So every
client of the registry sees the history, and two processes at once cannot overwrite each other.

The event is written before the alias is set. A process that dies in between leaves an event that
the tag :data:`SHOWN` does not name yet, and the next call sets the alias. An alias that a person
set in MLflow stays, since ``SHOWN`` names the newest event then.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Literal

from filelock import FileLock, Timeout
from pydantic import BaseModel, ConfigDict, ValidationError

from sweep.study.database import sqlite_file
from sweep.study.urls import resolved
from sweep.tracking.client import RegistryError, paged
from sweep.tracking.registry.version_record import MODEL, read_version

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

CHAMPION, CHALLENGER = "champion", "challenger"
SHOWN = "sweep.history_shown"
"""The tag with the key of the event that the alias was last set for."""

KEY = re.compile(r"sweep\.history\.(?P<number>\d+)-[0-9a-f]+")
LONGEST_REASON = 3000
"""Characters. A database may hold 5000 of a registered model's tag."""
BUSY_SECONDS = 120
"""Longest wait for another process that changes the champion of the same store."""
ROUNDS = 5
"""How often the alias is set anew if other processes add events meanwhile."""

Kind = Literal["promotion", "override", "rollback"]


class Event(BaseModel):
    """One change of the champion."""

    model_config = ConfigDict(frozen=True)

    at: str
    """Time in ISO 8601, with its offset."""
    kind: Kind
    version: str
    """The version that became champion."""
    before: str | None
    """The version that was champion until then."""
    reason: str


def read_events(tags: Mapping[str, str]) -> dict[str, Event]:
    """Key -> event, oldest first. A tag that is no event is left out."""
    numbered = [(int(match["number"]), key) for key in tags if (match := KEY.fullmatch(key))]
    found = {}
    for _, key in sorted(numbered):
        try:
            found[key] = Event.model_validate_json(tags[key])
        except ValidationError:  # a person wrote it
            continue
    return dict(sorted(found.items(), key=lambda item: (_number(item[0]), item[1].at)))


def former_champions(events: Sequence[Event], now: str | None) -> list[str]:
    """The versions that were champion before ``now``, the last first.

    A rollback takes the versions after its target off the list, so that a second rollback goes
    further back.
    """
    stack: list[str] = []
    for event in events:
        if event.before is not None and stack[-1:] != [event.before]:
            stack.append(event.before)
        if event.kind == "rollback" and event.version in stack:
            del stack[_last_index(stack, event.version) :]
        if stack[-1:] != [event.version]:
            stack.append(event.version)
    if now is not None and now in stack:
        del stack[_last_index(stack, now) :]
    return stack[::-1]


def undone(events: Sequence[Event], version: str) -> Event | None:
    """The rollback by which a person took ``version`` back; None if none did, or it holds again."""
    found = None
    for event in events:
        if event.version == version:
            found = None
        elif event.kind == "rollback" and event.before == version:
            found = event
    return found


def _last_index(items: Sequence[str], item: str) -> int:
    return len(items) - 1 - list(reversed(items)).index(item)


@contextmanager
def changing(uri: str) -> Iterator[None]:
    """Lets one process of this machine at a time change the champion in a store.

    A server has no lock. There, of two changes at once, both are in the history and the later one
    holds.

    Raises:
        RegistryError: another process held the lock for BUSY_SECONDS.
    """
    file = sqlite_file(resolved(uri, "tracking_uri"))
    if file is None:
        yield
        return
    lock = FileLock(file.with_name(f".{file.name}.champion.lock"), timeout=BUSY_SECONDS)
    try:
        lock.acquire()
    except Timeout:
        raise RegistryError(
            f"{file}: another process has been changing the champion for {BUSY_SECONDS} s; wait "
            "for it, or end it"
        ) from None
    try:
        yield
    finally:
        lock.release()


def crown(client: MlflowClient, version: str, kind: Kind, reason: str) -> None:
    """Makes ``version`` champion. The event first, then the alias."""
    settle(client)
    tags = client.get_registered_model(MODEL).tags
    holder = holder_of(client, CHAMPION)
    event = Event(
        at=datetime.now().astimezone().isoformat(timespec="seconds"),
        kind=kind,
        version=version,
        before=None if holder is None else str(holder.version),
        reason=reason[:LONGEST_REASON],
    )
    last = max((_number(key) for key in tags if KEY.fullmatch(key)), default=0)
    key = f"sweep.history.{last + 1:04d}-{uuid.uuid4().hex[:8]}"
    client.set_registered_model_tag(MODEL, key, event.model_dump_json())
    settle(client)


def settle(client: MlflowClient) -> None:
    """Sets the aliases as the history has them. A second call changes nothing."""
    for _ in range(ROUNDS):
        tags = client.get_registered_model(MODEL).tags
        events = read_events(tags)
        newest = next(reversed(events), None)
        if newest is None or tags.get(SHOWN) == newest:
            break
        if exists(client, events[newest].version):
            client.set_registered_model_alias(MODEL, CHAMPION, events[newest].version)
        client.set_registered_model_tag(MODEL, SHOWN, newest)
    _name_challenger(client)


def holder_of(client: MlflowClient, alias: str) -> ModelVersion | None:
    """The version that holds an alias; None if none does, or the version was deleted."""
    from mlflow.exceptions import MlflowException

    try:
        return client.get_model_version_by_alias(MODEL, alias)
    except MlflowException as error:
        # MLflow reports a missing alias as an invalid parameter.
        if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            return None
        raise


def versions(client: MlflowClient) -> dict[str, ModelVersion]:
    """The versions that were not deleted, oldest first."""
    found: Iterator[ModelVersion] = paged(
        lambda token: client.search_model_versions(f"name = '{MODEL}'", page_token=token)
    )
    return {str(v.version): v for v in sorted(found, key=lambda version: int(version.version))}


def exists(client: MlflowClient, version: str) -> bool:
    return version in versions(client)


def has_model(client: MlflowClient) -> bool:
    """Whether anything was registered yet."""
    return bool(client.search_registered_models(f"name = '{MODEL}'"))


def _name_challenger(client: MlflowClient) -> None:
    """The challenger is the newest admitted version that is not champion."""
    champion, holder = holder_of(client, CHAMPION), holder_of(client, CHALLENGER)
    crowned = None if champion is None else str(champion.version)
    others = [v for v in versions(client).values() if str(v.version) != crowned]
    admitted = [str(v.version) for v in others if read_version(v).admitted]
    now = None if holder is None else str(holder.version)
    if admitted and admitted[-1] != now:
        client.set_registered_model_alias(MODEL, CHALLENGER, admitted[-1])
    elif not admitted and now is not None:
        client.delete_registered_model_alias(MODEL, CHALLENGER)


def _number(key: str) -> int:
    match = KEY.fullmatch(key)
    return int(match["number"]) if match else 0
