"""Records learning curves: schedules drawn over a study's search space, trained at both stages.

Each run has a folder, which alone says what is done: a run that was cut is made again from its
start. Of a finished run the settings and the reports of its epochs are kept.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import numpy as np
import optuna

from sweep.study.config import StudyConfig
from sweep.study.folder import Stage
from sweep.study.search import space
from sweep.study.search.distributions import distributions
from uvtex.config import TERMS, TrainConfig
from uvtex.data.store import DataKey, PairStore
from uvtex.errors import ConfigError, DivergenceError
from uvtex.files import replacing, write_atomic
from uvtex.runs.epochs import read_epochs
from uvtex.runs.folder import RunFolder, claimed
from uvtex.training.schedule import learning_rate
from uvtex.training.schedule import weights as schedule_weights
from uvtex.training.trainer import Trainer

STAGES: tuple[Stage, ...] = get_args(Stage)


@dataclass(frozen=True)
class Run:
    """A drawn schedule under one seed, at one stage."""

    number: int
    """Of the schedule, in the order of the draw."""
    seed: int
    stage: Stage
    config: TrainConfig
    path: Path

    @property
    def diverged(self) -> Path:
        """The file that says that, and how, the run diverged."""
        return self.path / "diverged.txt"

    @property
    def done(self) -> bool:
        return self.diverged.is_file() or len(read_epochs(self.path)) >= self.config.epochs

    def check(self) -> None:
        """Refuses a folder that was made with other settings.

        Raises:
            ConfigError: the message lists the differences.
        """
        if found := RunFolder(self.path).changed(self.config, ("device",)):
            listed = ", ".join(found)
            raise ConfigError(
                f"{self.path}: was recorded with other settings ({listed}); restore them, or give "
                "another folder"
            )


def plan(
    study: StudyConfig, folder: Path, schedules: int, repeat_every: int, seeds: int
) -> list[Run]:
    """The runs of a recording, schedule by schedule, so that a part of them is of use too.

    Schedules are drawn as a study's random sampler draws them. Every ``repeat_every``-th one is run
    under ``seeds`` seeds, counted from the study's own, the others under that one.
    """
    sampler = optuna.samplers.RandomSampler(seed=study.search.seed)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    drawn, asked = optuna.create_study(sampler=sampler), distributions(study.search)
    runs = []
    for number in range(schedules):
        params = drawn.ask(asked).params
        for offset in range(seeds if number % repeat_every == 0 else 1):
            seed = int(study.train["seed"]) + offset
            for stage in STAGES:
                config = space.train_config(study, stage, params, seed)
                path = folder / f"{number:04d}" / str(seed) / stage
                runs.append(Run(number, seed, stage, config, path))
    return runs


def record(study: StudyConfig, folder: Path, runs: Sequence[Run]) -> Iterator[Run]:
    """Trains the runs that are not done, and yields each when it is.

    Raises:
        ConfigError: a run was made before with other settings.
        UvtexError: another process records into ``folder``, or a file cannot be written.
    """
    with claimed(folder):
        for run in runs:
            run.check()
        store: tuple[DataKey, PairStore] | None = None
        for run in runs:
            if run.done:
                continue
            key = DataKey.of(run.config)
            if store is None or store[0] != key:
                store = key, PairStore.open(study.data.path, run.config)
            _train(run, store[1])
            yield run


def _train(run: Run, store: PairStore) -> None:
    trainer = Trainer(run.config, store, run.path, force=True)
    try:
        for _ in trainer.epochs():
            pass
    except DivergenceError as error:
        write_atomic(run.diverged, f"{error}\n".encode())
    shutil.rmtree(trainer.run.checkpoints)


def pack(runs: Sequence[Run], out: Path) -> int:
    """Writes those of ``runs``, all of one stage, that are done to ``out``; returns their number.

    The format is that of ``benchmarks/promotion/README.md``, with the seed of each run beside it.

    Raises:
        ConfigError: no run is done.
    """
    done = [run for run in runs if run.done]
    if not done:
        raise ConfigError(f"{out}: no run is done, so there is nothing to pack")
    thresholds = done[0].config.thresholds
    points = done[0].config.epochs
    curves = np.full((len(done), points, len(thresholds)), np.nan, np.float32)
    lr = np.full((len(done), points), np.nan, np.float32)
    weights = np.full((len(done), points, len(TERMS)), np.nan, np.float32)
    for row, run in enumerate(done):
        for point, report in enumerate(read_epochs(run.path)):
            curves[row, point] = [report.val[t.metric] for t in thresholds]
        for point in range(points):
            now = schedule_weights(run.config.schedule, point + 1, points)
            weights[row, point] = [now[term] for term in TERMS]
            lr[row, point] = learning_rate(run.config.lr, run.config.schedule, point + 1, points)
    arrays = {
        "curves": curves,
        "metrics": np.array([t.metric for t in thresholds]),
        "higher_is_better": np.array([t.at_least is not None for t in thresholds]),
        "config": np.array([run.number for run in done], np.int32),
        "seed": np.array([run.seed for run in done], np.int32),
        "lr": lr,
        "loss_weights": weights,
    }
    with replacing(out) as file:
        np.savez_compressed(file, **arrays)
    return len(done)
