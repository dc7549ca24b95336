"""The runner of real studies: trains a model. Only workers import it, because it loads PyTorch."""

from __future__ import annotations

import os
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from sweep.launchers.base import Job
from sweep.launchers.worker import Warn, message_of
from sweep.study.folder import WORKER_LOG
from uvtex.config import TrainConfig
from uvtex.data.store import DataKey, PairStore
from uvtex.evaluation.grids import write_grids
from uvtex.evaluation.test_side import write_test_figures
from uvtex.runs.folder import RunFolder
from uvtex.runs.repair import put_aside_broken
from uvtex.settings import validate
from uvtex.training.trainer import Trainer


def train(job: Job, warn: Warn) -> Iterator[dict[str, Any]]:
    """Trains the run of ``job``, a :data:`sweep.launchers.worker.Runner`."""
    if threads := os.environ.get("UVTEX_THREADS"):
        torch.set_num_threads(int(threads))
    config = validate(TrainConfig, job.config, where=job.run_dir)
    store = _data(job.data, config.model_copy(update={"device": job.device or config.device}))
    if job.resume:
        for problem in put_aside_broken(RunFolder(Path(job.run_dir)), config.checkpoint_name):
            warn(f"the run begins anew, because {problem}")
    trainer = Trainer(config, store, Path(job.run_dir), resume=job.resume)
    for report in trainer.epochs():
        yield report.to_dict()
    if job.test:
        write_test_figures(Path(job.run_dir), store)
    if job.grids:
        try:
            write_grids(trainer.best_checkpoint, Path(job.data), trainer.run.grids, job.grids)
        except Exception as error:  # a run without grids is still a run with figures
            traceback.print_exc()
            warn(f"no sample grids: {message_of(error)}; see {Path(job.run_dir) / WORKER_LOG}")


_stores: dict[tuple[str, DataKey], PairStore] = {}
"""The data set of the last run, since the runs of a study share it."""


def _data(folder: str, config: TrainConfig) -> PairStore:
    """The data set of a run, opened once for all runs that see it alike."""
    key = folder, DataKey.of(config)
    if key not in _stores:
        _stores.clear()  # never two data sets in a device's memory
        _stores[key] = PairStore.open(Path(folder), config)
    return _stores[key]
