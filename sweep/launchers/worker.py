"""A worker process: runs one job at a time and reports its epochs. Knows no Optuna, no MLflow.

:mod:`sweep.launchers.start` calls :func:`serve` in a new process.
"""

from __future__ import annotations

import errno
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
from sweep.launchers.sole_writer import sole_writer
from sweep.study.folder import WORKER_LOG
from uvtex.errors import OutOfMemory, UvtexError
from uvtex.files import is_disk_full

MEMORY_SAYS = ("out of memory", "can't allocate memory", "can't start new thread", "bad_alloc")
"""Parts of the messages of failed allocations, on the CPU and on GPUs."""

DEVICE_SAYS = (
    "CUDA error", "CUBLAS_STATUS", "CUDNN_STATUS", "cuDNN error", "HIP error", "XPU error",
)  # fmt: skip
"""Parts of the messages of errors after which a process can use its device no more."""

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


def what_is_lost(error: Exception) -> str | None:
    """Why the process is of no more use after ``error``, as a predicate; None if it still is.

    After a CUDA error every later call fails. After an allocation failed, what is left of the
    memory is held by what the run made, and a new process may have more.
    """
    said = str(error) if isinstance(error, RuntimeError) else ""
    if (
        isinstance(error, MemoryError | OutOfMemory)
        or (isinstance(error, OSError) and error.errno == errno.ENOMEM)
        or any(words in said for words in MEMORY_SAYS)
    ):
        return "ran out of memory"
    return "lost its device" if any(words in said for words in DEVICE_SAYS) else None


def _serve(
    runner: Runner, job: Job, messages: queue.Queue[dict[str, Any]], driver: Channel
) -> None:
    def send(event: str, **fields: Any) -> None:
        driver.send({"event": event, **fields})

    try:
        with _logging_to(Path(job.run_dir) / WORKER_LOG):
            _run(runner, job, messages, send)
    except Exception as error:  # the worker survives whatever else a run raises
        if lost := what_is_lost(error):
            send("broken", message=f"{lost}: {message_of(error)}")
            os._exit(1)  # without a clean-up, which may hang on a broken device
        send("failed", message=message_of(error), disk_full=is_disk_full(error))
    else:
        send("ended")


def _run(
    runner: Runner, job: Job, messages: queue.Queue[dict[str, Any]], send: Callable[..., None]
) -> None:
    def warn(message: str) -> None:
        send("note", message=message)

    with sole_writer(Path(job.run_dir), warn):
        _report(runner(job, warn), messages, send)


def _report(
    reports: Iterator[dict[str, Any]],
    messages: queue.Queue[dict[str, Any]],
    send: Callable[..., None],
) -> None:
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
