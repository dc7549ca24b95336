"""MLflow's errors become tracking errors."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import requests
from mlflow.exceptions import MlflowException
from mlflow.utils.rest_utils import verify_rest_response
from sqlalchemy.exc import OperationalError

from sweep.tracking import client as client_module
from sweep.tracking.client import TrackingError
from sweep.tracking.tracker import Tracker
from uvtex.errors import UvtexError


def test_an_unreachable_server_is_reported_quickly() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    began = time.monotonic()
    with pytest.raises(TrackingError, match=f"127.0.0.1:{port}.*sweep sync"):
        Tracker(f"http://127.0.0.1:{port}", None, "made")
    assert time.monotonic() - began < 20


def test_a_store_that_is_not_a_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mlflow.db").write_bytes(b"this is no database at all" * 100)
    with pytest.raises(TrackingError, match=r"mlflow\.db"):
        Tracker(f"sqlite:///{tmp_path}/mlflow.db", None, "made")


@pytest.mark.parametrize(
    "raised",
    [
        MlflowException("refused"),
        requests.ConnectionError("refused"),
        requests.Timeout("refused"),
        OperationalError("select", {}, Exception("refused")),
        PermissionError(13, "refused"),
    ],
    ids=lambda raised: type(raised).__name__,
)
def test_every_mlflow_error_becomes_a_tracking_error(raised: Exception) -> None:
    with (
        pytest.raises(TrackingError, match=r"cannot frobnicate: .*refused"),
        client_module.mapped_errors("frobnicate", "sqlite:///x.db"),
    ):
        raise raised


@pytest.mark.parametrize("status", [401, 403])
def test_a_server_that_wants_a_login_is_told_where_the_login_comes_from(status: int) -> None:
    answer = requests.Response()
    answer.status_code, answer._content = status, b"You are not authenticated."
    with (
        pytest.raises(TrackingError, match=r"MLFLOW_TRACKING_USERNAME and .*; the trial director"),
        client_module.mapped_errors("list the runs", "http://127.0.0.1:5000"),
    ):
        verify_rest_response(answer, "/api/2.0/mlflow/runs/search")


def test_own_errors_stay_as_they_are() -> None:
    with pytest.raises(UvtexError, match=r"^mine$"), client_module.mapped_errors("x", "y"):
        raise UvtexError("mine")


def test_no_other_module_catches_mlflow_errors() -> None:
    """Only three modules handle MLflow's exceptions."""
    modules = Path(client_module.__file__).parent.rglob("*.py")
    handling = {path.name for path in modules if "MlflowException" in path.read_text()}
    assert handling <= {"client.py", "history.py", "export.py"}


CREATE = """
import sys
from sweep.tracking.client import client
client(sys.argv[1])
"""


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_a_process_that_is_killed_while_it_makes_the_store_leaves_none_in_part(
    tmp_path: Path,
) -> None:
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    with subprocess.Popen([sys.executable, "-c", CREATE, uri]) as process:
        until = time.monotonic() + 120
        while not any(p.stat().st_size for p in tmp_path.glob(".mlflow.db.new")):
            assert time.monotonic() < until
            time.sleep(0.01)  # another process writes, and gives no signal
        process.kill()
    assert not (tmp_path / "mlflow.db").exists()
    assert client_module.client(uri).search_experiments()
    assert [path.name for path in tmp_path.iterdir() if ".new" in path.name] == []
