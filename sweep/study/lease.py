"""One driver a study: the lock that says so, and the note that says who."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from filelock import FileLock, Timeout

from sweep.study.folder import StudyFolder
from uvtex.errors import UvtexError
from uvtex.files import write_atomic

PATIENCE = 0.5
"""Seconds to wait for the lock: whoever asks for the driver holds it for a moment."""


class StudyTaken(UvtexError):
    """Another driver owns the study. Names it."""


@contextmanager
def lease(paths: StudyFolder) -> Iterator[None]:
    """Owns the study for as long as the block runs; the system lets go if the process dies.

    Raises:
        StudyTaken: another driver owns it.
    """
    paths.folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(paths.lock, timeout=PATIENCE)
    try:
        lock.acquire()
    except Timeout:
        raise StudyTaken(
            f"study {paths.name!r} is being driven by {_who(holder(paths))}; wait for it, stop it "
            f"with Ctrl-C, or look on with `sweep status {paths.name}`"
        ) from None
    # Beside the lock, not in it: opening a lock file empties it, and Windows won't let it be read.
    try:
        me = {"pid": os.getpid(), "host": socket.gethostname(), "since": _now()}
        write_atomic(paths.driver, json.dumps(me).encode())
        yield
    finally:
        paths.driver.unlink(missing_ok=True)
        lock.release()


def holder(paths: StudyFolder) -> dict[str, Any] | None:
    """``pid``, ``host`` and ``since`` of the driver that owns the study, or of one that died."""
    try:
        note: dict[str, Any] = json.loads(paths.driver.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return note


def driver(paths: StudyFolder) -> str | None:
    """Process, host and time of the driver at work; None if there is none.

    The lock tells, since the system lets go of it when a driver dies. The note may be of a driver
    that died, perhaps on a host of another name.
    """
    if not paths.lock.is_file():  # looking must not create it
        return None
    lock = FileLock(paths.lock, timeout=PATIENCE)
    try:
        lock.acquire()
    except Timeout:
        return _who(holder(paths))
    except OSError:  # a store that may only be read: the note is all there is to go by
        note = holder(paths)
        return None if note is None else _who(note)
    lock.release()
    return None


def _who(note: dict[str, Any] | None) -> str:
    if note is None:
        return "another process"
    return f"process {note['pid']} on {note['host']} since {note['since']}"


def _now() -> str:
    return datetime.now().astimezone().isoformat(timespec="seconds")
