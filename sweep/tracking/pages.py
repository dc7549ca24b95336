"""``sweep ui``: this process becomes MLflow's server, on loopback unless told otherwise."""

from __future__ import annotations

import ipaddress
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

OPEN_TO_ALL = (
    "MLflow has no login by default: whoever reaches {host} may read, change and delete everything "
    "in the store. MLflow has a login of its own: `pip install 'mlflow[auth]'`, set "
    "MLFLOW_AUTH_ADMIN_PASSWORD and MLFLOW_FLASK_SERVER_SECRET_KEY, then run "
    "`mlflow server --app-name basic-auth --backend-store-uri {uri} --host {host} --port {port}`"
)


def serve_ui(uri: str, port: int = 5000, host: str = HOST) -> None:
    """Prints the address of MLflow's pages, and serves those of a local store.

    The process becomes ``mlflow server``, so that Ctrl-C and SIGTERM are MLflow's to handle. If
    ``uri`` is a server's, the server has its pages already: their address is printed, no more.

    Args:
        uri: MLflow's tracking URI.
        port: the port; 0 is any free port.
        host: the address to listen on. Other machines reach every address but those of loopback.

    Raises:
        TrackingError: the port is in use, or there is no store at ``uri``.
    """
    if not seam.is_local(uri):
        echo(f"MLflow is at {masked(uri)}")
        return
    if seam.is_missing(uri):
        raise TrackingError(f"there is no store at {masked(uri)} yet; `sweep run` creates it")
    number = free_port(port, host)
    if not is_loopback(host):
        echo(f"warning: {OPEN_TO_ALL.format(host=host, uri=uri, port=number)}", err=True)
    echo(f"MLflow is at http://{f'[{host}]' if ':' in host else host}:{number} (Ctrl-C ends it)")
    _become(server_command(uri, number, host))


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches ``host``."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def free_port(port: int, host: str = HOST) -> int:
    """``port`` if it is free, or any free port for 0.

    Raises:
        TrackingError: the port is in use, or not for this user.
    """
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise TrackingError(
                f"port {port} on {host} cannot be used: {error.strerror}; choose another with "
                "--port, or end the process that uses it"
            ) from None
        return int(probe.getsockname()[1])


def server_command(uri: str, port: int, host: str = HOST) -> list[str]:
    """The command line of MLflow's server: one worker, no line a request.

    The server needs the working folder, since the store's path may be relative to it, but imports
    nothing from it. uvicorn would: ``--app-dir`` names a folder without modules instead.
    """
    address = ["--backend-store-uri", uri, "--host", host, "--port", str(port)]
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
