"""MLflow's server as ``sweep ui`` starts it, which tests may stop, kill and start again."""

from __future__ import annotations

import os
import signal
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

from sweep.tracking.pages import HOST, free_port, server_command, server_environment

PATIENCE = 300.0
"""Seconds that the server gets to answer for the first time."""


class MlflowServer:
    """A server on a port of its own, which it keeps when it is started again."""

    def __init__(self, uri: str, options: Sequence[str] = ()) -> None:
        """``options`` are further ones of ``mlflow server``. The server does not run yet."""
        self.port = free_port(0)
        self.address = f"http://{HOST}:{self.port}"
        self._command = [*server_command(uri, self.port), *options]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Starts the server, and returns once it answers."""
        assert self._process is None, "the server is running"
        # A process group of its own: the server has children, and all of them must end.
        self._process = subprocess.Popen(
            self._command,
            env=server_environment(),
            start_new_session=True,
            stdout=subprocess.DEVNULL,
        )
        await_answer(self.address, self._process)

    def freeze(self) -> None:
        """Stops all processes of the server: it takes connections, and answers none."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Lets a frozen server go on."""
        self._signal(signal.SIGCONT)

    def kill(self) -> None:
        """Kills all processes of the server."""
        self._signal(signal.SIGKILL)
        assert self._process is not None
        self._process.wait()
        self._process = None

    def stop(self) -> None:
        """Ends the server, if it runs."""
        if self._process is None:
            return
        self._signal(signal.SIGCONT)
        self._signal(signal.SIGTERM)
        try:
            self._process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self.kill()
        self._process = None

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None, "the server does not run"
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)


@contextmanager
def running_server(uri: str) -> Iterator[str]:
    """The address of a server on a free port."""
    server = MlflowServer(uri)
    try:
        server.start()
        yield server.address
    finally:
        server.stop()


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
