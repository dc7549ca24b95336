"""MLflow's server as ``sweep ui`` starts it, for the length of a ``with`` block."""

from __future__ import annotations

import os
import signal
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

from sweep.tracking.pages import HOST, free_port, server_command, server_environment

PATIENCE = 90.0
"""Seconds that the server gets to answer for the first time."""


@contextmanager
def running_server(uri: str) -> Iterator[str]:
    """The address of a server on a free port."""
    port = free_port(0)
    # A process group of its own: the server has children, and all of them must end.
    with subprocess.Popen(
        server_command(uri, port),
        env=server_environment(),
        start_new_session=True,
        stdout=subprocess.DEVNULL,
    ) as server:
        try:
            address = f"http://{HOST}:{port}"
            await_answer(address, server)
            yield address
        finally:
            os.killpg(server.pid, signal.SIGTERM)
            try:
                server.wait(timeout=20)
            except subprocess.TimeoutExpired:
                os.killpg(server.pid, signal.SIGKILL)


def await_answer(address: str, server: subprocess.Popen[bytes] | subprocess.Popen[str]) -> None:
    """Returns once the server answers.

    Raises:
        RuntimeError: the server ended, or does not answer in time.
    """
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        if server.poll() is not None:
            raise RuntimeError(f"MLflow's server ended with exit code {server.returncode}")
        try:
            with urllib.request.urlopen(f"{address}/health", timeout=2):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)  # another process starts, there is nothing to wait for by name
    raise RuntimeError(f"MLflow's server does not answer at {address}")
