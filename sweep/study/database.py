"""The SQLite databases of a store: their URLs, their files, and the lock under which they open.

Optuna and MLflow take a database as SQLAlchemy's URL. A folder's name may hold any character, such
as ``%``, ``?`` or ``#``, and SQLAlchemy alone writes and reads URLs with such characters here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from uvtex.errors import UvtexError

OPENING_SECONDS = 120
"""Longest wait for another process that creates or migrates a database of the same store."""
BUSY_SECONDS = 60
"""Longest wait for another process that holds a lock on a database."""

_PLAIN = re.compile(r"sqlite:///[A-Za-z0-9_./-]+")
"""URLs in which every character stands for itself. SQLAlchemy takes a while to be loaded."""


def sqlite_url(path: Path) -> str:
    """The URL of the SQLite database at ``path``. A relative path gives a relative URL."""
    if _PLAIN.fullmatch(url := f"sqlite:///{path.as_posix()}"):
        return url
    from sqlalchemy.engine import URL

    return URL.create("sqlite", database=path.as_posix()).render_as_string(hide_password=False)


def sqlite_file(url: str) -> Path | None:
    """The file of a SQLite URL; None if ``url`` is of another kind, such as a server's."""
    if _PLAIN.fullmatch(url):
        return Path(url.removeprefix("sqlite:///"))
    if not url.startswith("sqlite:"):
        return None
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        database = make_url(url).database
    except ArgumentError:
        return None
    return None if database is None else Path(database)


@contextmanager
def opening(path: Path) -> Iterator[None]:
    """Lets one process at a time open the database at ``path``, and creates its folder.

    Opening creates the tables, and two processes that create tables at once break each other.

    Raises:
        UvtexError: another process held the lock for OPENING_SECONDS, or the folder cannot be made.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(path.with_name(f".{path.name}.lock"), timeout=OPENING_SECONDS)
        lock.acquire()
    except Timeout:
        raise UvtexError(
            f"{path}: another process has been opening it for {OPENING_SECONDS} s; "
            "wait for it, or end it"
        ) from None
    except OSError as error:
        raise UvtexError(f"{path}: cannot be opened: {error.strerror or error}") from None
    try:
        yield
    finally:
        lock.release()
