"""One driver for each study: a lock, and a file that names the driver which holds it."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from filelock import FileLock, Timeout

from sweep.study.folder import RECORD, StudyFolder, TrialRecord, read_records
from uvtex.errors import UvtexError
from uvtex.files import remove_leftovers, write_atomic

LOCK_TIMEOUT = 0.5
"""Seconds to wait for the lock. :func:`driver` holds it for a moment to test it."""


class StudyTaken(UvtexError):
    """Another driver owns the study. The message names its process and host."""


@contextmanager
def lease(paths: StudyFolder) -> Iterator[None]:
    """Holds the study's lock during a ``with``. The system frees the lock if the process dies.

    Raises:
        StudyTaken: another driver owns the study.
    """
    paths.folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(paths.lock, timeout=LOCK_TIMEOUT)
    try:
        lock.acquire()
    except Timeout:
        raise StudyTaken(
            f"study {paths.name!r} is being driven by {_who(holder(paths))}; wait until it ends, "
            f"stop it with `{paths.command('stop')}`, or watch it with `{paths.command('status')}`"
            + _without_flock(paths)
        ) from None
    # A file of its own: opening a lock file empties it, and Windows refuses to read a locked file.
    try:
        _tidy(paths)
        me = {"pid": os.getpid(), "host": socket.gethostname(), "since": _now()}
        write_atomic(paths.driver, json.dumps(me).encode())
        yield
    finally:
        paths.driver.unlink(missing_ok=True)
        lock.release()


def _tidy(paths: StudyFolder) -> None:
    """Removes what an earlier driver that was killed had half written."""
    remove_leftovers(paths.folder)
    for record in paths.folder.glob(f"trials/*/*/{RECORD}"):
        remove_leftovers(record.parent, RECORD)


def holder(paths: StudyFolder) -> dict[str, Any] | None:
    """``pid``, ``host`` and ``since`` of the last driver that did not end cleanly; None if none."""
    try:
        note: dict[str, Any] = json.loads(paths.driver.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return note


def driver(paths: StudyFolder) -> str | None:
    """Process, host and start time of the running driver, as text; None if no driver runs.

    The lock decides, because the system frees it when a driver dies. ``driver.json`` may be left
    over from a driver that died, perhaps on a host with another name.
    """
    if not paths.lock.is_file():  # FileLock would create it
        return None
    lock = FileLock(paths.lock, timeout=LOCK_TIMEOUT)
    try:
        lock.acquire()
    except Timeout:
        return _who(holder(paths))
    except OSError:  # the store is read-only, so only driver.json can tell
        note = holder(paths)
        return None if note is None else _who(note)
    lock.release()
    return None


def shown_records(paths: StudyFolder) -> list[TrialRecord]:
    """The study's records as they are to be shown: a run without a driver is ``interrupted``.

    A record that cannot be read is left out, see :func:`sweep.study.folder.read_records`.
    """
    found, _ = read_records(paths.folder)
    if driver(paths) is not None:
        return found
    return [
        record.model_copy(update={"state": "interrupted"}) if record.state == "running" else record
        for record in found
    ]


def _without_flock(paths: StudyFolder) -> str:
    """What to do about a lock that no system frees; empty where one does.

    Where the file system has no flock, the lock is a file that names its owner. A dead owner of
    this host is recognised. One of another host, or of a container with another name, is not.
    """
    try:
        content = paths.lock.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    if not content.strip():
        return ""
    return (
        f". This file system has no locks that end with their process: if that process has ended, "
        f"remove {paths.lock}"
    )


def _who(note: dict[str, Any] | None) -> str:
    if note is None:
        return "another process"
    return f"process {note['pid']} on {note['host']} since {note['since']}"


def _now() -> str:
    return datetime.now().astimezone().isoformat(timespec="seconds")
