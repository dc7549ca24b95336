"""Creates MLflow clients, and maps MLflow's errors to this package's.

MLflow's active run and tracking URI, which are global, are neither read nor set: a notebook that
uses MLflow for itself is not disturbed. The first client does change two other global settings of
the process, once: environment variables that the user has not set (time limits, progress bars),
and the log levels of three of MLflow's loggers.
"""

from __future__ import annotations

import functools
import logging
import os
import sqlite3
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from sweep.study.database import opening, sqlite_file, sqlite_url
from sweep.study.folder import StudyFolder
from sweep.study.urls import login_problem, masked, resolved
from sweep.tracking.relocation import relocate
from uvtex.errors import UvtexError

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.store.entities import PagedList

T = TypeVar("T")


SCHEMES = ("sqlite:", "http:", "https:", "postgresql", "mysql", "mssql", "databricks")
"""How a tracking URI begins."""


REFUSALS = ("INVALID_PARAMETER_VALUE", "BAD_REQUEST", "RESOURCE_ALREADY_EXISTS")
"""MLflow's error codes for one call that it will never accept."""


LOGIN_ERRORS = ("UNAUTHENTICATED", "PERMISSION_DENIED")
"""MLflow's error codes for a login that is missing or may not do this."""
LOGIN_ADVICE = "; the login is read from MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD"


ADVICE = "; the trial directories are complete, run `sweep sync STUDY` when the store answers again"


class TrackingError(UvtexError):
    """MLflow's tracking store is away or refuses. The trial directories have lost nothing."""


class RefusedError(TrackingError):
    """MLflow answers, and refuses this one call. Other calls may succeed."""


class RegistryError(UvtexError):
    """MLflow's model registry is away, refuses, or has no such model."""


@contextmanager
def mapped_errors(doing: str, uri: str, error: type[UvtexError] = TrackingError) -> Iterator[None]:
    """Errors that MLflow and the libraries below it raise in the block become ``error``.

    Raises:
        UvtexError: of type ``error``; the message has the action, the store and the cause.
    """
    uri = masked(uri)
    try:
        yield
    except _foreign_errors() as cause:
        first = masked(str(cause)).strip().splitlines() or [type(cause).__name__]
        code = getattr(cause, "error_code", None)
        if error is TrackingError and code in REFUSALS:
            raise RefusedError(f"MLflow at {uri}: refuses to {doing}: {first[0][:400]}") from cause
        raise error(
            f"MLflow at {uri}: cannot {doing}: {first[0][:400]}"
            + (LOGIN_ADVICE if code in LOGIN_ERRORS else "")
            + (ADVICE if error is TrackingError else "")
        ) from cause


def is_outage(error: UvtexError) -> bool:
    """Whether MLflow did not do what it was asked, but may do it later."""
    return isinstance(error.__cause__, _foreign_errors()) and not isinstance(error, RefusedError)


def _foreign_errors() -> tuple[type[Exception], ...]:
    """What MLflow and the libraries below it raise."""
    import requests
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    return MlflowException, requests.RequestException, SQLAlchemyError, sqlite3.Error, OSError


def client(uri: str) -> MlflowClient:
    """A client for tracking and registry on ``uri``; it creates a missing SQLite store.

    Raises:
        ConfigError: ``uri`` names an environment variable that is not set.
        TrackingError: ``uri`` is neither a database nor a server, or a server's address holds a
            password.
    """
    _configure_mlflow()
    from mlflow import MlflowClient

    uri = resolved(uri, "tracking_uri")
    if not uri.startswith(SCHEMES):
        raise TrackingError(
            f"{masked(uri)}: is no tracking URI; write sqlite:///PATH for a database, or the "
            "address of a server, such as http://127.0.0.1:5000"
        )
    if (problem := login_problem(uri)) is not None:
        raise TrackingError(problem)
    with known_warnings():
        file = sqlite_file(uri)
        if file is None:
            return MlflowClient(tracking_uri=uri, registry_uri=uri)
        # Absolute, because MLflow keeps connections by this text, wherever the process is later.
        uri = absolute(uri)
        with opening(file):
            if not file.exists():
                _create(file)
            made = MlflowClient(tracking_uri=uri, registry_uri=uri)
            made.search_experiments(max_results=1)  # migrates an older database now, in the lock
            relocate(file, StudyFolder(file.parent, "").artifacts)
    return made


def paged(page: Callable[[str | None], PagedList[T]]) -> Iterator[T]:
    """All items of an answer that MLflow gives in pages.

    Args:
        page: a call for the page of a token; None: the first page.
    """
    token: str | None = None
    while True:
        found = page(token)
        yield from found
        token = found.token
        if not token:
            return


def ask_anything(uri: str) -> None:
    """Returns if MLflow answers.

    Raises:
        TrackingError: it does not.
    """
    with mapped_errors("look for it", uri):
        client(uri).search_experiments(max_results=1)


def _create(file: Path) -> None:
    """Creates MLflow's database.

    It gets its name when it is whole: MLflow cannot open one that a process left half made.
    """
    from mlflow.store.tracking import DEFAULT_LOCAL_FILE_AND_ARTIFACT_PATH
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    part = file.with_name(f".{file.name}.new")
    for left in (part, part.with_name(f"{part.name}-journal")):
        left.unlink(missing_ok=True)
    store = SqlAlchemyStore(sqlite_url(part.resolve()), DEFAULT_LOCAL_FILE_AND_ARTIFACT_PATH)
    store.engine.dispose()
    part.replace(file)


@contextmanager
def known_warnings() -> Iterator[None]:
    """Silences two warnings of MLflow 3.17 about its own code.

    The first is SQLAlchemy's, when a store is created: MLflow's database models use a deprecated
    loader strategy. The second comes with the import of ``mlflow.pyfunc``: a type hint is too wide.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The ``noload`` loader strategy")
        warnings.filterwarnings("ignore", message=".*Any type hint is inferred as AnyType")
        yield


def is_local(uri: str) -> bool:
    """Whether the store is a SQLite file on this machine, and no server."""
    return sqlite_file(uri) is not None


def absolute(uri: str) -> str:
    """``uri`` as MLflow opens it: with its password, and with the absolute path of a SQLite file.

    It must not be shown, see :mod:`sweep.study.urls`.

    Raises:
        ConfigError: ``uri`` names an environment variable that is not set.
    """
    uri = resolved(uri, "tracking_uri")
    file = sqlite_file(uri)
    return uri if file is None else sqlite_url(file.resolve())


def is_missing(uri: str) -> bool:
    """Whether ``uri`` is a SQLite file that does not exist. MLflow would create it on reading."""
    file = sqlite_file(resolved(uri, "tracking_uri"))
    return file is not None and not file.is_file()


@functools.cache
def _configure_mlflow() -> None:
    """Sets defaults for this process, where the user's environment has no value.

    With its own defaults MLflow waits for minutes before it reports that a server is away, and it
    prints one line for each table that it creates. This package repeats calls itself. Warnings and
    errors are still printed, but for two: the sampler of the machine's load would warn of an outage
    that the driver has told already, and MLflow's database prints a traceback of each error that it
    also raises, which is told in one line here.
    """
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "20")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
    logging.getLogger("alembic").setLevel(logging.WARNING)
    for name in ("mlflow.store.db.utils", "mlflow.system_metrics"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
