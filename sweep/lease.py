"""One driver a study: the lock that says so, and the note that says who."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from sweep.record import StudyPaths
from uvtex.errors import UvtexError
from uvtex.files import write_atomic


class StudyTaken(UvtexError):
    """Another driver owns the study. Names it."""


@contextmanager
def lease(paths: StudyPaths) -> Iterator[None]:
    """Owns the study for as long as the block runs; the system lets go if the process dies.

    Raises:
        StudyTaken: another driver owns it.
    """
    paths.folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(paths.lock, timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise StudyTaken(
            f"study {paths.name!r} is being driven by {_who(holder(paths))}; wait for it, stop it "
            f"with Ctrl-C, or look on with `sweep status {paths.name}`"
        ) from None
    # Beside the lock, not in it: opening a lock file empties it, and Windows won't let it be read.
    note = _note(paths)
    try:
        me = {"pid": os.getpid(), "host": socket.gethostname(), "since": _now()}
        write_atomic(note, json.dumps(me).encode())
        yield
    finally:
        note.unlink(missing_ok=True)
        lock.release()


def holder(paths: StudyPaths) -> dict[str, Any] | None:
    """``pid``, ``host`` and ``since`` of the driver that owns the study, or of one that died."""
    try:
        note: dict[str, Any] = json.loads(_note(paths).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return note


def is_driven(paths: StudyPaths) -> bool:
    """Whether a driver is at work, as far as can be told without touching its lock."""
    note = holder(paths)
    if note is None:
        return False
    if note["host"] != socket.gethostname():
        return True
    import psutil  # type: ignore[import-untyped]

    try:
        created = psutil.Process(note["pid"]).create_time()
    except psutil.Error:
        return False
    # Created after the note was written, it is another process by the number of one that died.
    return bool(created <= datetime.fromisoformat(note["since"]).timestamp() + 1)


def _who(note: dict[str, Any] | None) -> str:
    if note is None:
        return "another process"
    return f"process {note['pid']} on {note['host']} since {note['since']}"


def _note(paths: StudyPaths) -> Path:
    return paths.folder / "driver.json"


def _now() -> str:
    return datetime.now().astimezone().isoformat(timespec="seconds")
