"""Optuna's own pruners, driven point by point on in-memory studies.

They judge one value: they are told the joint slack, which is more than a user of one metric gives
them. A trial that passes already is not asked for, as by our rule, so that all lose good trials in
one sense only. ``report`` and ``should_prune`` are called at every point.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import optuna
from optuna.pruners import (
    BasePruner,
    HyperbandPruner,
    MedianPruner,
    PatientPruner,
    PercentilePruner,
    SuccessiveHalvingPruner,
    ThresholdPruner,
)

from benchmarks.promotion.replay import Fate, Judge, Trial
from benchmarks.promotion.task import Task

LOWEST = -1e6
"""Reported for a point that is not a number: Optuna's rungs cannot rank NaN."""

PRUNERS: dict[str, Callable[[int], BasePruner]] = {
    "median": lambda points: MedianPruner(),
    "median-late": lambda points: MedianPruner(n_startup_trials=20, n_warmup_steps=points // 3),
    "percentile": lambda points: PercentilePruner(25.0),
    "patient": lambda points: PatientPruner(MedianPruner(), patience=max(1, points // 10)),
    "successive-halving": lambda points: SuccessiveHalvingPruner(),
    "hyperband": lambda points: HyperbandPruner(min_resource=1, max_resource=points),
    "threshold": lambda points: ThresholdPruner(lower=0.0, n_warmup_steps=points // 2),
}
"""Points of a whole run -> pruner. Defaults of Optuna 5, but for what has none: ``patient`` waits a
tenth of the run; ``threshold`` asks for the thresholds themselves from half the run on;
``median-late`` is the median with our 20 start-up trials and our first look."""


@dataclass(frozen=True)
class OptunaPolicy:
    """One of :data:`PRUNERS`."""

    name: str

    def judge(self, task: Task, seed: int) -> Judge:
        """A judge over a new in-memory study."""
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        sampler = optuna.samplers.RandomSampler(seed=seed)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            pruner = PRUNERS[self.name](task.points)
        study = optuna.create_study(
            study_name=f"replay {seed}",  # Hyperband draws brackets by it
            direction="maximize",
            sampler=sampler,
            pruner=pruner,
        )
        return _OptunaJudge(study)


@dataclass
class _OptunaJudge:
    study: optuna.Study

    def follow(self, trial: Trial) -> Fate:
        asked = self.study.ask()
        joint = np.maximum(trial.task.joint[trial.row], LOWEST)
        best = LOWEST
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for point, value in enumerate(joint[:-1]):
                best = max(best, float(value))
                asked.report(float(value), point)
                if best < 0 and asked.should_prune():
                    self.study.tell(asked, state=optuna.trial.TrialState.PRUNED)
                    return Fate(point + 1, flagged=point + 1)
        asked.report(float(joint[-1]), len(joint) - 1)
        self.study.tell(asked, float(joint.max()))
        return Fate(trial.task.points)
