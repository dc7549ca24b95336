"""The driver's end of one worker process: its start, its messages, and how it ended."""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from sweep.launchers.base import Died, Ended, EpochEnded, Event, Failed, Job, Note
from sweep.launchers.channel import Channel, NotAMessage
from sweep.launchers.worker_log import keep_bounded, last_line, size_of
from sweep.study.folder import WORKER_LOG
from uvtex.runs.epochs import EpochReport

START_SECONDS = 300.0
"""A worker that says nothing for so long never will. Loading PyTorch from a slow disk takes a
minute."""

POLL_SECONDS = 0.2
"""How often to ask whether the process lives. Its death is seen at once, unless another process has
inherited its end of the channel."""

EXIT_SECONDS = 5.0
"""Longest wait for the end of a process that closed its channel, or that was killed."""

LIBRARIES = ("torch", "numpy", "pydantic", "yaml")
"""Packages that a worker needs. Where this process finds them, the others are too."""

START = Path(__file__).with_name("start.py")


class WorkerProcess:
    """One worker, from its start to its death. Its output goes to ``log``, from the first byte.

    Args:
        slot: the slot that its events name.
        runner: ``module:function``, see :data:`sweep.launchers.worker.Runner`.
        environment: the variables that the slot sets.
        start_seconds: how long its start may take.

    Raises:
        OSError: the process cannot be started, or the log not be opened.
    """

    def __init__(
        self,
        slot: str,
        log: Path,
        runner: str,
        environment: Mapping[str, str],
        start_seconds: float = START_SECONDS,
    ) -> None:
        self._slot = slot
        self._start_seconds = start_seconds
        log.parent.mkdir(parents=True, exist_ok=True)
        self._logs = [(log, size_of(log))]
        ours, theirs = socket.socketpair()
        try:
            with theirs, log.open("ab") as output:
                self._process = subprocess.Popen(
                    _command(theirs, runner),
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    env=worker_environment(os.environ, environment),
                    **_inheriting(theirs),
                    # Ctrl-C reaches the terminal's process group; the driver alone handles it.
                    **_own_group(),
                )
        except BaseException:
            ours.close()
            raise
        self._channel = Channel(ours)

    def start(self, job: Job) -> None:
        """Gives the worker a job. A worker that died meanwhile is reported by :meth:`events`."""
        log = Path(job.run_dir) / WORKER_LOG
        self._logs = [self._logs[0], (log, size_of(log))]
        self._send(asdict(job))

    def answer(self, go_on: bool) -> None:
        """Answers an ``EpochEnded``."""
        self._send({"go_on": go_on})

    def events(self) -> Iterator[Event]:
        """The worker's events, as they come. ``Died`` is the last, whatever happens."""
        said = None
        try:
            yield from self._heard()
        except _Broken as broken:
            reason, said = str(broken), ""
        except NotAMessage as error:
            reason = f"sent the driver something that is no event: {error}"
        except TimeoutError:
            reason = f"did not start within {self._start_seconds:g} s"
        except EOFError:
            reason = self.reap() or "closed its channel to the driver and went on"
        except Exception as error:
            reason = f"could not be heard: {type(error).__name__}: {error}"
        else:
            reason = self.reap() or "could not be heard"
        self.kill()
        self.reap()
        self._channel.close()
        yield Died(self._slot, reason + (self._last_words(reason) if said is None else said))

    def kill(self) -> None:
        """Kills the process, if it lives, and closes the channel. Does not wait for the end.

        A process that hangs in a driver of the system cannot be killed at once. Its closed channel
        ends :meth:`events` nevertheless.
        """
        self._process.kill()
        self._channel.shut()

    def reap(self) -> str | None:
        """How the process ended; None if it has not after ``EXIT_SECONDS``."""
        try:
            return exit_description(self._process.wait(EXIT_SECONDS))
        except subprocess.TimeoutExpired:
            return None

    def _heard(self) -> Iterator[Event]:
        deadline: float | None = time.monotonic() + self._start_seconds
        while True:
            # Asked first: what was sent before the end is received after it.
            ended = self._process.poll() is not None
            message = self._channel.receive(POLL_SECONDS)
            for log, _ in self._logs:
                keep_bounded(log)
            if message is None:
                if ended:
                    return
                if deadline is not None and time.monotonic() > deadline:
                    raise TimeoutError
            elif deadline is not None:
                if message != {"event": "hello"}:
                    raise NotAMessage(f"{_shown(message)} before it said hello")
                deadline = None
            else:
                yield _event(self._slot, message)

    def _send(self, message: dict[str, Any]) -> None:
        with suppress(OSError, ValueError):  # the worker died, which its events tell
            self._channel.send(message)

    def _last_words(self, reason: str) -> str:
        if "SIGKILL" in reason:
            return ""  # it could say nothing about that
        for log, size in reversed(self._logs):
            if line := last_line(log, size):
                return f"; the last line of {log}: {line}"
        return ""


class _Broken(Exception):
    """The worker says that it is of no more use. The text is a predicate of ``worker``."""


def worker_environment(environment: Mapping[str, str], slot: Mapping[str, str]) -> dict[str, str]:
    """A worker's environment: this process's, without Python's own settings, and the slot's.

    Isolated mode already ignores Python's settings. They are removed for the programs that a worker
    starts.
    """
    kept = {key: value for key, value in environment.items() if not key.startswith("PYTHON")}
    return kept | dict(slot)


def exit_description(code: int) -> str:
    """How a process with this exit code ended, as a predicate: ``killed by SIGSEGV``."""
    if code >= 0:
        return f"exited with code {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    return f"killed by {name}" + (", perhaps for lack of memory" if name == "SIGKILL" else "")


def _event(slot: str, message: dict[str, Any]) -> Event:
    """The event of a message, checked: the driver must not fail on it.

    Raises:
        NotAMessage: it is no event.
        _Broken: the worker says that it is of no more use.
    """
    match message:
        case {"event": "epoch", "report": dict() as report}:
            if _is_report(report):
                return EpochEnded(slot, report)
        case {"event": "note", "message": str() as text}:
            return Note(slot, text)
        case {"event": "failed", "message": str() as text}:
            return Failed(slot, text, message.get("disk_full") is True)
        case {"event": "ended"}:
            return Ended(slot)
        case {"event": "broken", "message": str() as text}:
            raise _Broken(text)
    raise NotAMessage(_shown(message))


def _is_report(values: dict[str, Any]) -> bool:
    try:
        report = EpochReport.from_json(values)
    except TypeError:
        return False
    tables = (report.weights, report.train, report.val)
    return (
        isinstance(report.epoch, int)
        and all(_is_number(value) for value in (report.lr, report.seconds, report.images))
        and all(isinstance(table, dict) for table in tables)
        and all(_is_number(value) for table in tables for value in table.values())
        and "margin" in report.val
    )


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _shown(message: dict[str, Any]) -> str:
    return json.dumps(message)[:60]


def _command(end: socket.socket, runner: str) -> list[str]:
    told = {
        "socket": end.fileno(),
        "runner": runner,
        "packages": {
            name: importlib.import_module(name).__path__[0]
            for name in ("sweep", "uvtex", runner.partition(".")[0])
        },
        "libraries": library_folders(),
    }
    # -I: see start.py. -u: the log has what was printed before a death. utf8: whatever the locale.
    return [sys.executable, "-I", "-u", "-X", "utf8", str(START), json.dumps(told)]


def library_folders() -> list[str]:
    """Where this process finds the :data:`LIBRARIES`, for instance in the user's site folder."""
    specs = [importlib.util.find_spec(name) for name in LIBRARIES]
    # A module of that name beside a study file is no package.
    places = [spec.submodule_search_locations for spec in specs if spec is not None]
    return list(dict.fromkeys(str(Path(place[0]).parent) for place in places if place))


def _inheriting(end: socket.socket) -> dict[str, Any]:
    if sys.platform == "win32":
        end.set_inheritable(True)
        return {"close_fds": False}
    return {"pass_fds": [end.fileno()]}


def _own_group() -> dict[str, Any]:
    if sys.platform == "win32":
        return {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}
    return {"start_new_session": True}
