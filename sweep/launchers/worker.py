"""One trial at a time: a trainer in, events out. Knows neither Optuna nor MLflow.

Run as ``python -m sweep.launchers.worker RUNNER`` by :mod:`sweep.launchers.local`.
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
from typing import Any, TextIO

from sweep.launchers.base import Job
from uvtex.errors import UvtexError

LOG = "worker.log"

Runner = Callable[[Job], Iterator[dict[str, Any]]]
"""Runs a job: yields each epoch's report as JSON, and is closed early to stop. What it does after
its last report (grids) happens only if it was not."""


def train(job: Job) -> Iterator[dict[str, Any]]:
    """The runner of real studies."""
    from uvtex.evaluation.grids import write_grids
    from uvtex.training.trainer import Trainer

    config = _resolve(job)
    store = _data(job.data, config)
    run_dir = Path(job.run_dir)
    for report in Trainer(config, store, run_dir, resume=job.resume).epochs():
        yield report.to_dict()
    if job.grids:
        best = run_dir / "checkpoints" / f"{config.checkpoint_name}.safetensors"
        try:
            write_grids(best, Path(job.data), run_dir / "grids", job.grids)
        except Exception:  # the run's figures stand without its pictures; the log says why
            traceback.print_exc()


def main() -> None:
    """Serves jobs from standard input until it ends, which means that the driver is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Whatever prints in here (libraries do) must not get among the events.
    events = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    module, _, name = sys.argv[1].partition(":")
    runner: Runner = getattr(importlib.import_module(module), name)
    words = _listen()
    while True:
        _serve(runner, Job(**words.get()), words, events)


def _serve(runner: Runner, job: Job, words: queue.Queue[dict[str, Any]], events: TextIO) -> None:
    def say(event: str, **fields: Any) -> None:
        events.write(json.dumps({"event": event, **fields}) + "\n")
        events.flush()

    say("started", pid=os.getpid())
    try:
        with _logging_to(Path(job.run_dir) / LOG):
            _run(runner, job, words, say)
    except Exception as error:  # whatever a trial does, the worker outlives it
        say("failed", message=_message(error))
    else:
        say("ended")


def _run(
    runner: Runner, job: Job, words: queue.Queue[dict[str, Any]], say: Callable[..., None]
) -> None:
    reports = runner(job)
    try:
        for report in reports:
            print(f"epoch {report['epoch']}: {json.dumps(report['val'])}", flush=True)
            say("epoch", report=report)
            if not words.get()["go_on"]:
                return
    except Exception:
        traceback.print_exc()
        raise
    finally:
        if hasattr(reports, "close"):
            reports.close()


def _listen() -> queue.Queue[dict[str, Any]]:
    """Reads words in the background, so that the end of input is seen in the middle of an epoch."""
    words: queue.Queue[dict[str, Any]] = queue.Queue()

    def read() -> None:
        for line in sys.stdin:
            words.put(json.loads(line))
        # Files are replaced atomically, so nothing is torn by leaving at once.
        os._exit(1)

    threading.Thread(target=read, daemon=True).start()
    return words


class _logging_to:  # noqa: N801  (reads as a statement)
    """Sends both standard streams, those of C libraries too, to a file for a while."""

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


_stores: dict[str, Any] = {}


def _data(folder: str, config: Any) -> Any:
    """The data set as this run sees it; kept, since the trials of a study share it."""
    from uvtex.data.store import PairStore

    seen = config.model_dump(mode="json", include=set(SEEN_BY_DATA))
    key = json.dumps([folder, seen], sort_keys=True)
    if key not in _stores:
        _stores.clear()  # never two data sets in a device's memory
        _stores[key] = PairStore.open(Path(folder), config)
    return _stores[key]


SEEN_BY_DATA = ("image_size", "val_split", "split_by", "split_seed", "seed", "device")
"""Settings that decide what a data set looks like in memory."""


def _resolve(job: Job) -> Any:
    import torch

    from uvtex.config import TrainConfig, validate

    if threads := os.environ.get("UVTEX_THREADS"):
        torch.set_num_threads(int(threads))
    return validate(TrainConfig, job.config, where=job.run_dir)


if __name__ == "__main__":
    main()
