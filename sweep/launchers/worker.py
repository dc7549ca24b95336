"""A worker process: trains one run at a time and reports its epochs. Knows no Optuna, no MLflow.

:mod:`sweep.launchers.local` runs it as ``python -m sweep.launchers.worker RUNNER``.
"""

from __future__ import annotations

import importlib
import json
import os
import queue
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from sweep.launchers.base import Job
from sweep.study.folder import WORKER_LOG
from uvtex.errors import UvtexError

if TYPE_CHECKING:
    from uvtex.config import TrainConfig
    from uvtex.data.store import DataKey, PairStore

Warn = Callable[[str], None]
"""Sends a warning to the driver, for its user."""

Runner = Callable[[Job, Warn], Iterator[dict[str, Any]]]
"""Runs a job and yields each epoch's report as JSON.

The worker closes the iterator early to stop the run. Code after the last ``yield`` therefore runs
only if the run was not stopped.
"""


def train(job: Job, warn: Warn) -> Iterator[dict[str, Any]]:
    """The runner of real studies."""
    from uvtex.evaluation.grids import write_grids
    from uvtex.training.trainer import Trainer

    config = _settings(job)
    store = _data(job.data, config)
    trainer = Trainer(config, store, Path(job.run_dir), resume=job.resume)
    for report in trainer.epochs():
        yield report.to_dict()
    if job.grids:
        try:
            write_grids(trainer.best_checkpoint, Path(job.data), trainer.run.grids, job.grids)
        except Exception as error:  # a run without grids is still a run with figures
            traceback.print_exc()
            warn(f"no sample grids: {_message(error)}; see {Path(job.run_dir) / WORKER_LOG}")


def main() -> None:
    """Serves jobs until standard input ends, which means that the driver has ended."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Events get a copy of standard output; whatever libraries print goes to standard error.
    events = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    module, _, name = sys.argv[1].partition(":")
    runner: Runner = getattr(importlib.import_module(module), name)
    messages = _listen()
    while True:
        _serve(runner, Job(**messages.get()), messages, events)


def _serve(runner: Runner, job: Job, messages: queue.Queue[dict[str, Any]], events: TextIO) -> None:
    def send(event: str, **fields: Any) -> None:
        events.write(json.dumps({"event": event, **fields}) + "\n")
        events.flush()

    try:
        with _logging_to(Path(job.run_dir) / WORKER_LOG):
            _run(runner, job, messages, send)
    except Exception as error:  # the worker survives whatever a run raises
        send("failed", message=_message(error))
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


def _listen() -> queue.Queue[dict[str, Any]]:
    """Reads the driver's messages in a thread, to notice the end of input during an epoch."""
    messages: queue.Queue[dict[str, Any]] = queue.Queue()

    def read() -> None:
        for line in sys.stdin:
            messages.put(json.loads(line))
        # Leaving at once breaks no file: files are replaced atomically.
        os._exit(1)

    threading.Thread(target=read, daemon=True).start()
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


def _message(error: Exception) -> str:
    text = str(error).strip() or "no message"
    return text if isinstance(error, UvtexError) else f"{type(error).__name__}: {text}"


_stores: dict[tuple[str, DataKey], PairStore] = {}
"""The data set of the last run, since the runs of a study share it."""


def _data(folder: str, config: TrainConfig) -> PairStore:
    """The data set of a run, opened once for all runs that see it alike."""
    from uvtex.data.store import DataKey, PairStore

    key = folder, DataKey.of(config)
    if key not in _stores:
        _stores.clear()  # never two data sets in a device's memory
        _stores[key] = PairStore.open(Path(folder), config)
    return _stores[key]


def _settings(job: Job) -> TrainConfig:
    import torch

    from uvtex.config import TrainConfig
    from uvtex.settings import validate

    if threads := os.environ.get("UVTEX_THREADS"):
        torch.set_num_threads(int(threads))
    return validate(TrainConfig, job.config, where=job.run_dir)


if __name__ == "__main__":
    main()
