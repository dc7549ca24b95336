"""Opens Optuna's storage, and maps its errors to one."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import optuna
from sqlalchemy.exc import SQLAlchemyError

from sweep.study.database import BUSY_SECONDS, opening, sqlite_url
from uvtex.errors import UvtexError


class StorageError(UvtexError):
    """Optuna's storage is locked, full, damaged or away. The trial directories lost nothing."""


def open_storage(path: Path) -> optuna.storages.RDBStorage:
    """Opens the database at ``path``, and creates it if it is missing.

    Raises:
        StorageError: the database cannot be opened within BUSY_SECONDS.
    """
    with opening(path), mapped_errors("open it", path):
        options = {"connect_args": {"timeout": BUSY_SECONDS}}
        try:
            return optuna.storages.RDBStorage(sqlite_url(path), engine_kwargs=options)
        except RuntimeError as error:  # tables of another version of Optuna
            raise StorageError(
                f"{path}: cannot be used by this version of Optuna: {error}"
            ) from None


@contextmanager
def mapped_errors(doing: str, path: Path) -> Iterator[None]:
    """Errors of Optuna, SQLAlchemy and SQLite in the block become a StorageError."""
    try:
        yield
    except (optuna.exceptions.OptunaError, SQLAlchemyError, sqlite3.Error) as error:
        root = error.__cause__ or error
        cause = (str(root).strip().splitlines() or [type(root).__name__])[0]
        raise StorageError(f"{path}: cannot {doing}: {cause[:300]}{_advice(cause)}") from error


def _advice(cause: str) -> str:
    if "locked" in cause or "busy" in cause:
        return f"; another program has held it for {BUSY_SECONDS} s: end it, then resume the study"
    if "full" in cause or "I/O" in cause:
        return "; free space, then resume the study"
    if "not a database" in cause or "malformed" in cause:
        return "; restore the file from a copy, or move it away and start a study of another name"
    return "; the trial directories are complete: resume the study when it can be used again"
