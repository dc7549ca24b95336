"""Optuna studies of made-up trainings, for the tests of the pruner."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from functools import cache
from typing import Any

import numpy as np
import optuna
from optuna.storages import BaseStorage, InMemoryStorage
from optuna.trial import FrozenTrial, Trial, TrialState

from sweep.decisions.stopping.audit import coin
from sweep.optuna_pruner import PromotionPruner, report
from uvtex.thresholds import Threshold

EPOCHS = 20
THRESHOLDS = (
    Threshold(metric="accuracy", at_least=0.7),
    Threshold(metric="loss", at_most=0.3),
)
PAST = 40
NAME = "study"

NEXT = range(PAST, PAST + 4)
STOPS = next(seed for seed in range(1000) if all(coin(seed, n) > 0.3 for n in NEXT))
"""A seed under which the next four trials are not audited if they are flagged."""
AUDITS = next(seed for seed in range(1000) if all(coin(seed, n) < 0.3 for n in NEXT))
"""A seed under which they are."""

Curve = Callable[[int], float]


def rising(end: float, seed: int = 0) -> Curve:
    """Accuracy that saturates at ``end``, with noise."""
    noise = np.random.default_rng(seed).normal(0, 0.01, EPOCHS + 1)
    return lambda epoch: end * (1 - math.exp(-epoch / 4)) + noise[epoch]


def metrics(accuracy: float) -> dict[str, float]:
    return {"accuracy": accuracy, "loss": 1 - accuracy}


def pruner(seed: int = STOPS, **settings: Any) -> PromotionPruner:
    return PromotionPruner(**{"thresholds": THRESHOLDS, "epochs": EPOCHS, "seed": seed} | settings)


def study_of(
    with_pruner: PromotionPruner | None = None,
    curves: Iterable[Curve] | None = None,
    storage: BaseStorage | None = None,
) -> optuna.Study:
    """A study in which trials of ``curves`` ended; by default forty, of which a quarter passed."""
    made = _past() if curves is None else _study(InMemoryStorage(), curves)
    storage = storage or InMemoryStorage()
    optuna.copy_study(from_study_name=NAME, from_storage=made, to_storage=storage)
    return loaded(storage, with_pruner or pruner())


def loaded(storage: BaseStorage, with_pruner: PromotionPruner) -> optuna.Study:
    """The study, as another process loads it. Its sampler draws no parameter twice."""
    sampler = optuna.samplers.RandomSampler()
    return optuna.load_study(study_name=NAME, storage=storage, pruner=with_pruner, sampler=sampler)


@cache
def _past() -> InMemoryStorage:
    ends = np.random.default_rng(0).uniform(0.2, 0.9, PAST)
    return _study(InMemoryStorage(), [rising(end, n) for n, end in enumerate(ends)])


def _study(storage: InMemoryStorage, curves: Iterable[Curve]) -> InMemoryStorage:
    optuna.create_study(study_name=NAME, storage=storage, direction="maximize")
    study = loaded(storage, pruner(risk=1e-9))  # it flags nothing
    for curve in curves:
        follow(study.ask(), curve)
        study.tell(len(study.trials) - 1, 0.0)
    return storage


def follow(trial: Trial, curve: Curve, epochs: Iterable[int] = range(1, EPOCHS + 1)) -> int | None:
    """Reports ``epochs`` in their order; the first after which the trial is to be stopped."""
    trial.suggest_float("x", 0, 1)
    for epoch in epochs:
        report(trial, metrics(curve(epoch)), epoch)
        if trial.should_prune():
            return epoch
    return None


def in_progress(study: optuna.Study) -> Trial:
    """The study's last trial, as a process that takes it over has it."""
    return Trial(study, study.trials[-1]._trial_id)


def run(study: optuna.Study, curve: Curve) -> FrozenTrial:
    """A trial from beginning to end."""
    trial = study.ask()
    if follow(trial, curve) is not None:
        return study.tell(trial, state=TrialState.PRUNED)
    return study.tell(trial, 0.0)
