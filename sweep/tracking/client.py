"""The one seam to MLflow: how a client is made, and whose errors its errors become.

Nothing here depends on MLflow's global state (active run, ``set_tracking_uri``), so that a test or
a notebook that uses MLflow for itself is left alone.
"""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from uvtex.errors import UvtexError

if TYPE_CHECKING:
    from mlflow import MlflowClient


class TrackingError(UvtexError):
    """MLflow's tracking store is away, or refuses. The trial directories have lost nothing."""


class RegistryError(UvtexError):
    """MLflow's model registry is away, refuses, or has no such model."""


@contextmanager
def mapped_errors(doing: str, uri: str, error: type[UvtexError] = TrackingError) -> Iterator[None]:
    """Whatever MLflow and the libraries below it raise inside becomes ``error``.

    Raises:
        UvtexError: of type ``error``, naming what was being done, the store, and what to do next.
    """
    import requests
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except (MlflowException, requests.RequestException, SQLAlchemyError, OSError) as cause:
        first = str(cause).strip().splitlines() or [type(cause).__name__]
        raise error(
            f"MLflow at {uri}: cannot {doing}: {first[0][:400]}; the trial directories have "
            "everything, run `sweep sync STUDY` when the store answers again"
            if error is TrackingError
            else f"MLflow at {uri}: cannot {doing}: {first[0][:400]}"
        ) from cause


def client(uri: str) -> MlflowClient:
    """A client for tracking and registry on ``uri``, creating a SQLite store that is missing."""
    _configure_mlflow()
    from mlflow import MlflowClient

    with known_warnings():
        made = MlflowClient(tracking_uri=uri, registry_uri=uri)
        if is_local(uri):
            made.search_experiments(max_results=1)  # creates the tables now rather than later
    return made


@contextmanager
def known_warnings() -> Iterator[None]:
    """Silences what MLflow 3.17 warns of in its own code, which nobody here can mend.

    Its database models use a loader strategy that SQLAlchemy deprecates, when the first store is
    made; and it finds its own type hints too wide, when ``mlflow.pyfunc`` is imported.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The ``noload`` loader strategy")
        warnings.filterwarnings("ignore", message=".*Any type hint is inferred as AnyType")
        yield


def is_local(uri: str) -> bool:
    """Is the store a file on this machine, rather than a server?"""
    return uri.startswith("sqlite:")


def _configure_mlflow() -> None:
    """Defaults for this process where the user's environment says nothing.

    MLflow's own would wait for minutes before it admits that a server is away, and would print the
    making of its tables line by line. Warnings and errors are still printed.
    """
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR", "1")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "20")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    for name in ("mlflow.store.db.utils", "mlflow.system_metrics", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)
