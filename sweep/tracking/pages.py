"""MLflow's own pages on a store, on loopback."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from sweep.tracking import client as seam
from sweep.tracking.client import TrackingError

HOST = "127.0.0.1"
PATIENCE = 90.0
"""Seconds that the server gets to answer for the first time."""


def serve_ui(uri: str, port: int = 5000) -> None:
    """Starts MLflow's pages, prints their address, and serves until Ctrl-C.

    ``uri`` on a server already has its pages: their address is printed, nothing is started.

    Raises:
        TrackingError: the port is taken, there is no store, or the server does not come up.
    """
    if not seam.is_local(uri):
        print(f"MLflow is at {uri}", flush=True)
        return
    # A service manager ends this by SIGTERM: as clean as Ctrl-C.
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with running_ui(uri, port) as (address, server):
            print(f"MLflow is at {address} (Ctrl-C ends it)", flush=True)
            code = server.wait()
    except KeyboardInterrupt:
        print("ended", flush=True)
        return
    finally:
        signal.signal(signal.SIGTERM, before)
    raise TrackingError(f"MLflow's pages ended by themselves with exit code {code}")


@contextmanager
def running_ui(uri: str, port: int) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """The address and the process of MLflow's pages, which end with the block; port 0 is any."""
    if not Path(uri.removeprefix("sqlite:///")).is_file():
        raise TrackingError(f"there is no store at {uri} yet; `sweep run` makes it")
    number = _free(port)
    # A process group of its own: the server has children, and all of them must go.
    server = subprocess.Popen(
        _command(uri, number), env=_environment(), start_new_session=True, stdout=subprocess.DEVNULL
    )
    try:
        address = f"http://{HOST}:{number}"
        _await(address, server)
        yield address, server
    finally:
        _end(server)


def _command(uri: str, port: int) -> list[str]:
    where = ["--backend-store-uri", uri, "--host", HOST, "--port", str(port)]
    quiet = ["--uvicorn-opts", "--log-level warning"]
    return [sys.executable, "-m", "mlflow", "server", *where, "--workers", "1", *quiet]


def _environment() -> dict[str, str]:
    """Without the job queue, which starts more processes and serves no page of ours, and without
    the server's warning to its own authors."""
    ours = {
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "PYTHONWARNINGS": "ignore:starlette.middleware.wsgi is deprecated",
    }
    return ours | os.environ


def _free(port: int) -> int:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise TrackingError(
                f"port {port} on {HOST} cannot be used: {error.strerror}; choose another with "
                "--port, or end what is using it"
            ) from None
        return int(probe.getsockname()[1])


def _await(address: str, server: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        if server.poll() is not None:
            raise TrackingError(f"MLflow's pages did not start: exit code {server.returncode}")
        try:
            with urllib.request.urlopen(f"{address}/health", timeout=2):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    raise TrackingError(f"MLflow's pages do not answer at {address} after {PATIENCE:.0f} seconds")


def _end(server: subprocess.Popen[bytes]) -> None:
    """Ends the server and its children, politely and then not."""
    for polite in (True, False):
        if server.poll() is None:
            _signal(server, polite)
            try:
                server.wait(timeout=10)
            except subprocess.TimeoutExpired:
                continue
        return


def _signal(server: subprocess.Popen[bytes], polite: bool) -> None:
    if os.name == "nt":
        server.terminate() if polite else server.kill()
        return
    with suppress(ProcessLookupError):
        os.killpg(server.pid, signal.SIGTERM if polite else signal.SIGKILL)
