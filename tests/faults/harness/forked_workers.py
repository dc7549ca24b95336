"""Workers that are forked where a command would start a new Python."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.faults.harness.order import CONTEXT, PIDS, Order, output_to
from tests.faults.harness.points import install


class ForkedPopen:
    """The part of :mod:`subprocess` that starts workers."""

    DEVNULL, TimeoutExpired = subprocess.DEVNULL, subprocess.TimeoutExpired

    def __init__(self, order: Order) -> None:
        self._order = order

    def Popen(self, command: Sequence[str], **options: Any) -> _ForkedWorker:  # noqa: N802
        return _ForkedWorker(self._order, json.loads(command[-1]), options)


class _ForkedWorker:
    """The part of :class:`subprocess.Popen` that is used on workers."""

    def __init__(self, order: Order, told: dict[str, Any], options: dict[str, Any]) -> None:
        with socket.socket(fileno=os.dup(told["socket"])) as end:
            log, environment = options["stdout"].name, options["env"]
            self._process = CONTEXT.Process(
                target=_serve, args=(order, end, told["runner"], log, environment), daemon=True
            )
            self._process.start()
        self.pid = self._process.pid

    @property
    def returncode(self) -> int | None:
        return self._process.exitcode

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        self._process.join(timeout)
        if self._process.exitcode is None:
            raise subprocess.TimeoutExpired("worker", timeout or 0)
        return self._process.exitcode

    def kill(self) -> None:
        self._process.kill()

    def terminate(self) -> None:
        self._process.terminate()

    def send_signal(self, number: int) -> None:
        if self.poll() is None and self.pid is not None:
            os.kill(self.pid, number)


def _serve(
    order: Order, end: socket.socket, runner: str, log: str, environment: dict[str, str]
) -> None:
    os.setsid()
    output_to(Path(log))
    os.environ.clear()
    os.environ.update(environment)
    (Path(os.environ[PIDS]) / str(os.getpid())).touch()
    if order.worker_point is not None:
        install(order.worker_point, order.folder / "reached")
    from sweep.launchers.worker import serve

    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    serve(end, runner)
