"""Optuna's own pruners, asked point by point.

They judge one value: they are told the joint slack, which is more than a user of one metric gives
them. A trial that passes already is not asked for, as by our rule, so that all lose good trials in
one sense only. At every other point the pruner is asked.

Optuna's classes decide. What is ours is the storage that they read, :class:`Storage`: of its
in-memory storage and of ``Trial.report`` it keeps what a pruner sees, and drops the copies.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Container
from dataclasses import dataclass, field
from typing import Any, cast

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
from optuna.storages import BaseStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

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
        """A judge over a new study."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            pruner = PRUNERS[self.name](task.points)
        storage = Storage()
        study = optuna.Study(
            study_name=f"replay {seed}",  # Hyperband draws brackets by it
            storage=cast(BaseStorage, storage),
            sampler=optuna.samplers.RandomSampler(seed=seed),
            pruner=pruner,
        )
        return _OptunaJudge(study, storage)


@dataclass
class Storage:
    """What pruners read and write of a storage. It has one study, maximised; an id is a number.

    A trial that was read never changes by a later :meth:`set_trial_system_attr`, as in Optuna's own
    storages: a rung of successive halving would else count the trial that is judged twice.
    """

    trials: list[FrozenTrial] = field(default_factory=list)
    complete: list[FrozenTrial] = field(default_factory=list)

    def get_study_id_from_name(self, study_name: str) -> int:
        """The one study."""
        return 0

    def get_study_directions(self, study_id: int) -> list[StudyDirection]:
        """Maximised."""
        return [StudyDirection.MAXIMIZE]

    def get_all_trials(
        self,
        study_id: int,
        deepcopy: bool = True,
        states: Container[TrialState] | None = None,
    ) -> list[FrozenTrial]:
        """All trials by number, or those in ``states``; the running one is the last."""
        if states == (TrialState.COMPLETE,):
            found = list(self.complete)
        else:
            found = [one for one in self.trials if states is None or one.state in states]
        return copy.deepcopy(found) if deepcopy else found

    def set_trial_system_attr(self, trial_id: int, key: str, value: Any) -> None:
        """Replaces the trial by one with the attribute."""
        changed = copy.copy(self.trials[trial_id])
        changed.system_attrs = {**changed.system_attrs, key: value}
        self.trials[trial_id] = changed

    def begin(self) -> int:
        """The number of a new running trial."""
        number = len(self.trials)
        self.trials.append(
            FrozenTrial(
                number=number,
                trial_id=number,
                state=TrialState.RUNNING,
                value=None,
                datetime_start=None,
                datetime_complete=None,
                params={},
                distributions={},
                user_attrs={},
                system_attrs={},
                intermediate_values={},
            )
        )
        return number

    def end(self, number: int, value: float | None) -> None:
        """Completes the trial with ``value``; without one it was pruned."""
        trial = self.trials[number]
        trial.value = value
        trial.state = TrialState.PRUNED if value is None else TrialState.COMPLETE
        if value is not None:
            self.complete.append(trial)


@dataclass
class _OptunaJudge:
    study: optuna.Study
    storage: Storage

    def follow(self, trial: Trial) -> Fate:
        joint = np.maximum(trial.task.joint[trial.row], LOWEST).tolist()
        prune, study, trials = self.study.pruner.prune, self.study, self.storage.trials
        number = self.storage.begin()
        passed = False
        for point, value in enumerate(joint[:-1]):
            trials[number].intermediate_values[point] = value
            passed = passed or value >= 0
            if not passed and prune(study, trials[number]):
                self.storage.end(number, None)
                return Fate(point + 1, flagged=point + 1)
        trials[number].intermediate_values[len(joint) - 1] = joint[-1]
        self.storage.end(number, max(joint))
        return Fate(trial.task.points)
