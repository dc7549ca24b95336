"""Runs ``sweep`` in processes of its own that start in milliseconds.

A server process has imported everything once, and forks for each command. The commands, their
signals and their deaths are those of real processes. A command's workers are forked in the same
way, in place of a new Python; what a new Python does when it starts has tests of its own, and the
commands that are started with ``fresh`` use it here too.
"""

from __future__ import annotations

import atexit
import os
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from multiprocessing import forkserver
from pathlib import Path
from typing import Any

import psutil

from tests.faults.harness.forked_workers import ForkedPopen
from tests.faults.harness.order import CONTEXT, PIDS, Order, output_to
from tests.faults.harness.points import install

PATIENCE = 120.0
"""Seconds that a command gets. A loaded machine is ten times slower than an idle one."""


class Command:
    """A ``sweep`` command that runs."""

    def __init__(self, order: Order) -> None:
        self.order = order
        forkserver.ensure_running()
        address = forkserver._forkserver._forkserver_address  # type: ignore[attr-defined]
        self._process = CONTEXT.Process(target=_main, args=(order, address))
        self._process.start()
        assert self._process.pid is not None
        self.pid: int = self._process.pid

    @property
    def running(self) -> bool:
        return self._process.is_alive()

    @property
    def output(self) -> str:
        """What the commands in this folder have printed: they share one file."""
        return (self.order.folder / "output.log").read_text(errors="replace")

    def wait(self, timeout: float = PATIENCE) -> int:
        """The exit code, negative for a signal.

        Raises:
            TimeoutError: it did not end in time; it was killed.
        """
        self._process.join(timeout)
        code = self._process.exitcode
        if code is None:
            self.kill()
            raise TimeoutError(f"{self.order.arguments} did not end in {timeout} s:\n{self.output}")
        return code

    def signal(self, number: int) -> None:
        if self.running:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """Kills the process, and waits until it and its workers have ended."""
        self._process.kill()
        self._process.join()
        await_that(lambda: not self.workers(), "the end of its workers")

    def workers(self) -> list[int]:
        """The process ids of the workers that live."""
        if self.order.fresh:
            with suppress(psutil.NoSuchProcess):
                return [child.pid for child in psutil.Process(self.pid).children()]
            return []
        return [pid for pid in _listed(self.order.folder) if _lives(pid)]


def await_that(condition: Callable[[], bool], what: str, timeout: float = PATIENCE) -> None:
    """Returns once ``condition`` is true.

    Raises:
        TimeoutError: it is not after ``timeout`` seconds.
    """
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited in vain for {what}")
        time.sleep(0.005)


def call(function: Callable[..., Any], *arguments: Any) -> Any:
    """The result of ``function`` in a process of its own, which no state of this one disturbs.

    Raises:
        RuntimeError: the function raised an exception; the message is its traceback.
    """
    ours, theirs = CONTEXT.Pipe()
    process = CONTEXT.Process(target=_call, args=(theirs, function, arguments))
    process.start()
    theirs.close()
    try:
        failed, result = ours.recv() if ours.poll(PATIENCE) else (True, "no answer in time")
    except EOFError:
        failed, result = True, "the process died"
    process.kill() if failed else None
    process.join()
    if failed:
        raise RuntimeError(result)
    return result


def _call(end: Any, function: Callable[..., Any], arguments: Sequence[Any]) -> None:
    try:
        end.send((False, function(*arguments)))
    except BaseException:
        end.send((True, traceback.format_exc()))


def _listed(folder: Path) -> list[int]:
    pids = folder / "pids"
    return [int(path.name) for path in pids.iterdir()] if pids.is_dir() else []


def _lives(pid: int) -> bool:
    with suppress(psutil.NoSuchProcess):
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    return False


# -- in the command's process


def _main(order: Order, address: str) -> None:
    server = forkserver._forkserver  # type: ignore[attr-defined]
    # A forked process would start a server of its own, and import everything again.
    server._forkserver_address, server.ensure_running = address, lambda: None
    os.setsid()
    os.chdir(order.folder)
    output_to(order.folder / "output.log")
    os.environ.update({"MLFLOW_DISABLE_TELEMETRY": "true", **order.environment})
    (order.folder / "pids").mkdir(exist_ok=True)
    os.environ[PIDS] = str(order.folder / "pids")
    if order.clock:
        _shift_clock(order.clock)
    _use_runner(order)
    if order.exported is not None:
        _copy_exports(order.exported)
        _draw_no_charts()
    if order.point is not None:
        install(order.point, order.folder / "reached")
    code = _run(order.arguments)
    atexit._run_exitfuncs()  # a forked process leaves them out
    sys.exit(code)


def _run(arguments: Sequence[str]) -> int:
    from sweep.cli import main

    try:
        main(list(arguments), standalone_mode=True)
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    return 0


def _shift_clock(seconds: float) -> None:
    real = time.time
    time.time = lambda: real() + seconds


def _use_runner(order: Order) -> None:
    from sweep.launchers import local, process

    really = local.LocalLauncher.__init__

    def with_runner(self: Any, *args: Any, **kwargs: Any) -> None:
        really(self, *args, **{"runner": order.runner, **kwargs})

    local.LocalLauncher.__init__ = with_runner  # type: ignore[method-assign]
    if not order.fresh:
        process.subprocess = ForkedPopen(order)  # type: ignore[assignment]


def _copy_exports(exported: Path) -> None:
    import shutil

    from sweep.tracking import export

    def save(_: Any, size: int, folder: Path, extra_files: Sequence[Path], **ids: Any) -> None:
        shutil.copytree(exported, folder)
        for path in extra_files:
            shutil.copy(path, folder / "extra_files")

    export.save = save  # type: ignore[assignment]


def _draw_no_charts() -> None:
    from sweep.report import build

    build._charts = lambda *_: dict.fromkeys(  # type: ignore[assignment]
        ("history", "curves", "plane", "importance", "schedules")
    )
