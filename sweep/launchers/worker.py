"""A worker process: runs one job at a time and reports its epochs. Knows no Optuna, no MLflow.

:mod:`sweep.launchers.start` calls :func:`serve` in a new process.
"""

from __future__ import annotations

import importlib
import json
import os
import queue
import signal
import socket
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from sweep.launchers.base import Job
from sweep.launchers.channel import Channel, NotAMessage
from sweep.study.folder import WORKER_LOG
from uvtex.errors import UvtexError

PARENT_SECONDS = 0.5
"""How often to ask whether the driver lives. Its death is seen at once, unless another process has
inherited its end of the channel."""

Warn = Callable[[str], None]
"""Sends a warning to the driver, for its user."""

Runner = Callable[[Job, Warn], Iterator[dict[str, Any]]]
"""Runs a job and yields each epoch's report as JSON.

The worker closes the iterator early to stop the run. Code after the last ``yield`` therefore runs
only if the run was not stopped.
"""


def serve(end: socket.socket, runner_name: str) -> None:
    """Serves jobs until the driver has ended, and then ends this process.

    Args:
        end: the worker's end of the channel.
        runner_name: ``module:function``, a :data:`Runner`.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    driver = Channel(end)
    messages = _listen(driver)
    module, _, name = runner_name.partition(":")
    runner: Runner = getattr(importlib.import_module(module), name)
    driver.send({"event": "hello"})
    while True:
        _serve(runner, Job(**messages.get()), messages, driver)


def message_of(error: Exception) -> str:
    """An error as one text, with its type unless it is written for users."""
    text = str(error).strip() or "no message"
    return text if isinstance(error, UvtexError) else f"{type(error).__name__}: {text}"


def _serve(
    runner: Runner, job: Job, messages: queue.Queue[dict[str, Any]], driver: Channel
) -> None:
    def send(event: str, **fields: Any) -> None:
        driver.send({"event": event, **fields})

    try:
        with _logging_to(Path(job.run_dir) / WORKER_LOG):
            _run(runner, job, messages, send)
    except Exception as error:  # the worker survives whatever a run raises
        send("failed", message=message_of(error))
    else:
        send("ended")


def _run(
    runner: Runner, job: Job, messages: queue.Queue[dict[str, Any]], send: Callable[..., None]
) -> None:
    reports = runner(job, lambda message: send("note", message=message))
    try:
        for report in reports:
            print(f"epoch {report['epoch']}: {json.dumps(report['val'])}", flush=True)
            send("epoch", report=report)
            if not messages.get()["go_on"]:
                return
    except Exception:
        traceback.print_exc()
        raise
    finally:
        if hasattr(reports, "close"):
            reports.close()


def _listen(driver: Channel) -> queue.Queue[dict[str, Any]]:
    """Receives the driver's messages in a thread, to notice its end during an epoch."""
    messages: queue.Queue[dict[str, Any]] = queue.Queue()
    parent = os.getppid()

    def receive() -> None:
        try:
            while os.getppid() == parent:
                message = driver.receive(PARENT_SECONDS)
                if message is not None:
                    messages.put(message)
        except (EOFError, NotAMessage, OSError, ValueError):
            pass  # the driver has ended, or something here closed the channel
        finally:
            # Leaving at once breaks no file: files are replaced atomically.
            os._exit(1)

    threading.Thread(target=receive, daemon=True).start()
    return messages


class _logging_to:  # noqa: N801  (reads as a statement)
    """Sends standard output and error to a file inside a ``with``, those of C libraries too."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._kept = [os.dup(1), os.dup(2)]
        log = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        for stream in (1, 2):
            os.dup2(log, stream)
        os.close(log)

    def __exit__(self, *_: object) -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        for kept, stream in zip(self._kept, (1, 2), strict=True):
            os.dup2(kept, stream)
            os.close(kept)
