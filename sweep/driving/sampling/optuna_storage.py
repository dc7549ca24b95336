"""Opens Optuna's storage, and maps its errors to one."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import optuna
from sqlalchemy.engine import make_url
from sqlalchemy.exc import (
    ArgumentError,
    DBAPIError,
    InterfaceError,
    OperationalError,
    PendingRollbackError,
    SQLAlchemyError,
)

from sweep.study.database import BUSY_SECONDS, opening, sqlite_file
from sweep.study.urls import masked, resolved
from uvtex.errors import UvtexError

LASTING = (
    "is full", "no space left", "disk i/o error", "readonly", "read-only", "unable to open",
    "malformed", "not a database", "no such", "does not exist", "authentication failed",
    "pg_hba.conf", "permission denied", "could not translate host name",
)  # fmt: skip
"""Parts of the errors of a database that another attempt does not cure."""

SERVER_OPTIONS = {
    "connect_timeout": 10,  # s
    "keepalives_idle": 30,  # s
    "keepalives_interval": 10,  # s
    "keepalives_count": 3,
    "tcp_user_timeout": 60_000,  # ms
}
"""How soon PostgreSQL's client takes a machine that has vanished for lost. By default it waits for
hours."""


class StorageError(UvtexError):
    """Optuna's storage is full, damaged or refuses. The trial directories lost nothing."""


class StorageAway(StorageError):
    """Optuna's storage is locked, or its server does not answer. Another attempt may succeed."""


def shown(url: str) -> str:
    """The storage's place for messages: a file, or a URL without its password."""
    file = sqlite_file(url)
    return masked(url) if file is None else str(file)


def open_storage(url: str) -> optuna.storages.RDBStorage:
    """Opens a database by SQLAlchemy's URL. Optuna's tables are created if they are missing.

    Raises:
        ConfigError: the URL names an environment variable that is not set.
        StorageError: the database cannot be opened.
    """
    # A query that failed is an error of ours. This logger would print the query as well.
    logging.getLogger("optuna.storages._rdb.storage").setLevel(logging.ERROR)
    text = resolved(url, "storage")
    file = sqlite_file(text)
    with nullcontext() if file is None else opening(file), mapped_errors("open it", text):
        try:
            return optuna.storages.RDBStorage(text, engine_kwargs=_options(text))
        except ImportError as error:
            raise StorageError(
                f"{shown(text)}: {error.__cause__ or error}; install the database's driver, for "
                "PostgreSQL `pip install psycopg2-binary`"
            ) from None
        except RuntimeError as error:  # tables of another version of Optuna
            raise StorageError(
                f"{shown(text)}: cannot be used by this version of Optuna: {error}"
            ) from None


def _options(url: str) -> dict[str, Any]:
    try:
        parts = make_url(url)
    except ArgumentError:
        raise StorageError(
            f"storage: {masked(url)!r} is no URL of a database; write for example "
            "postgresql://USER:${PASSWORD_VARIABLE}@HOST/DATABASE, or leave `storage` out"
        ) from None
    if parts.get_backend_name() == "sqlite":
        return {"connect_args": {"timeout": BUSY_SECONDS}}
    # A connection that the server has lost is replaced before it is used.
    options: dict[str, Any] = {"pool_pre_ping": True}
    if parts.get_backend_name() == "postgresql":
        options["connect_args"] = {k: v for k, v in SERVER_OPTIONS.items() if k not in parts.query}
    return options


@contextmanager
def mapped_errors(doing: str, url: str) -> Iterator[None]:
    """Errors of Optuna, SQLAlchemy and SQLite in the block become a StorageError.

    Raises:
        StorageAway: another attempt may succeed.
        StorageError: none will.
    """
    try:
        yield
    except (optuna.exceptions.OptunaError, SQLAlchemyError, sqlite3.Error) as error:
        root = error.__cause__ or error
        # The driver's own error: the text of SQLAlchemy's may begin with its advice.
        told = getattr(root, "orig", None) or root
        lines = masked(str(told)).strip().splitlines() or [type(told).__name__]
        kind = StorageAway if _is_outage(error, root) else StorageError
        cause = lines[0][:300]
        raise kind(f"{shown(url)}: cannot {doing}: {cause}{_advice(cause)}") from error


def _is_outage(*errors: BaseException) -> bool:
    """Whether another attempt may succeed after ``errors``, an error and its cause."""
    if any(part in str(error).lower() for part in LASTING for error in errors):
        return False
    kinds = (OperationalError, InterfaceError, PendingRollbackError, sqlite3.OperationalError)
    return any(
        isinstance(error, kinds) or (isinstance(error, DBAPIError) and error.connection_invalidated)
        for error in errors
    )


def _advice(cause: str) -> str:
    if "locked" in cause or "busy" in cause:
        return "; another program holds it: end it, then resume the study"
    if "full" in cause or "I/O" in cause or "No space" in cause:
        return "; free space, then resume the study"
    if "not a database" in cause or "malformed" in cause:
        return "; restore the file from a copy, or move it away and start a study of another name"
    return "; the trial directories are complete: resume the study when it can be used again"
