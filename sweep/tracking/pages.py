"""``sweep ui``: this process becomes MLflow's server, on loopback."""

from __future__ import annotations

import os
import shlex
import socket
import sys
from typing import NoReturn

from sweep.study.urls import masked
from sweep.tracking import client as seam
from sweep.tracking.client import TrackingError
from uvtex.output import echo

HOST = "127.0.0.1"


def serve_ui(uri: str, port: int = 5000) -> None:
    """Prints the address of MLflow's pages, and serves those of a local store.

    The process becomes ``mlflow server``, so that Ctrl-C and SIGTERM are MLflow's to handle. If
    ``uri`` is a server's, the server has its pages already: their address is printed, no more.

    Args:
        uri: MLflow's tracking URI.
        port: the port on loopback; 0 is any free port.

    Raises:
        TrackingError: the port is in use, or there is no store at ``uri``.
    """
    if not seam.is_local(uri):
        echo(f"MLflow is at {masked(uri)}")
        return
    if seam.is_missing(uri):
        raise TrackingError(f"there is no store at {masked(uri)} yet; `sweep run` creates it")
    number = free_port(port)
    echo(f"MLflow is at http://{HOST}:{number} (Ctrl-C ends it)")
    _become(server_command(uri, number))


def free_port(port: int) -> int:
    """``port`` if it is free, or any free port for 0.

    Raises:
        TrackingError: the port is in use, or not for this user.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise TrackingError(
                f"port {port} on {HOST} cannot be used: {error.strerror}; choose another with "
                "--port, or end the process that uses it"
            ) from None
        return int(probe.getsockname()[1])


def server_command(uri: str, port: int) -> list[str]:
    """The command line of MLflow's server: one worker, no line a request.

    The server needs the working folder, since the store's path may be relative to it, but imports
    nothing from it. uvicorn would: ``--app-dir`` names a folder without modules instead.
    """
    address = ["--backend-store-uri", uri, "--host", HOST, "--port", str(port)]
    options = f"--log-level warning --app-dir {shlex.quote(sys.prefix)}"
    server = ["-P", "-m", "mlflow", "server", *address, "--workers", "1"]
    return [sys.executable, *server, "--uvicorn-opts", options]


def server_environment() -> dict[str, str]:
    """This process's environment, and three defaults for the server.

    The job queue starts more processes and serves no page of a study. The warning is for MLflow's
    own developers. The processes that the server starts import nothing from the working folder.
    """
    defaults = {
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "PYTHONWARNINGS": "ignore:starlette.middleware.wsgi is deprecated",
        "PYTHONSAFEPATH": "1",
    }
    return defaults | os.environ


def _become(command: list[str]) -> NoReturn:
    # MLflow prints its start to stdout, where the one line with the address is wanted.
    silent = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silent, 1)
    os.execvpe(command[0], command, server_environment())
