"""Draws a trial in memory: what the sampler sees, and the new trial that it makes.

A sampler that draws in a database writes each parameter in a transaction of its own. Here it writes
into memory, and the caller stores the whole trial in one transaction. So a trial is stored whole or
not at all.
"""

from __future__ import annotations

import heapq
from collections.abc import Container, Mapping, Sequence
from datetime import datetime
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from sweep.driving.sampling.samplers import sampler
from sweep.driving.sampling.unfinished import Unfinished
from sweep.study.search.settings import Search

MOST_SHOWN = 500
"""So many trials a sampler is shown (docs/decisions/0027). The time that it takes for a trial grows
with their number, for ``gp`` with its third power."""
BEST_SHOWN = 100
"""So many of them are the best. The others are the latest."""

_RANKS = {TrialState.COMPLETE: 1, TrialState.PRUNED: 0}


class Shown:
    """Chooses what a sampler sees of a study's trials. It grows with the study.

    These are the best ones, those that TPE takes for good, and the latest. They follow from the
    trials alone, so a resumed study draws what an uninterrupted one does.
    """

    def __init__(self) -> None:
        self._unfinished = Unfinished()
        """Of the earlier trials."""
        self._best: list[tuple[tuple[float, ...], int]] = []
        """A heap of the best of the earlier trials: quality and negative number."""

    def of(self, trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
        """At most :data:`MOST_SHOWN` of ``trials``, by number.

        Args:
            trials: all trials, by number, at least those of the last call.
        """
        if len(trials) <= MOST_SHOWN:
            return list(trials)
        latest = len(trials) - (MOST_SHOWN - BEST_SHOWN)
        for trial in self._unfinished.take(trials[:latest]):
            if trial.state in _RANKS:
                heapq.heappush(self._best, (_quality(trial), -trial.number))
        while len(self._best) > BEST_SHOWN:
            heapq.heappop(self._best)
        best = sorted(-negative for _, negative in self._best)
        return [*(trials[number] for number in best), *trials[latest:]]


def _quality(trial: FrozenTrial) -> tuple[float, ...]:
    """How good a finished trial is, in TPE's order.

    A trial that breaks a constraint is worse than any that breaks none, a pruned one worse than a
    complete one.
    """
    broken = sum(value for value in trial.constraints.values() if value > 0)
    last = max(trial.intermediate_values, default=0) if trial.state == TrialState.PRUNED else 0
    value = -float("inf") if trial.value is None else trial.value
    return -broken, _RANKS[trial.state], last, value


class Drawing:
    """Draws the trials of a study. It grows with the study."""

    def __init__(self, search: Search, space: Mapping[str, BaseDistribution]) -> None:
        self._search, self._space, self._shown = search, dict(space), Shown()
        self._last: tuple[FrozenTrial, dict[str, Any]] | None = None

    def sampler(self, trials: int) -> BaseSampler:
        """The sampler for a study with so many trials."""
        search = self._search
        return sampler(search.sampler, search.seed, search.startup_trials, trials)

    def draw(
        self, trials: Sequence[FrozenTrial], attributes: Mapping[str, Any]
    ) -> tuple[FrozenTrial, dict[str, Any]]:
        """A running trial that is to be stored as the next. Until it is, it stays the same.

        Args:
            trials: all trials of the study, by number. They are not changed.
            attributes: the study's system attributes.

        Returns:
            The trial, and those attributes of the study that the sampler has set.
        """
        if self._last is None or self._last[0].number != len(trials):
            self._last = self._drawn(trials, attributes)
        return self._last

    def _drawn(
        self, trials: Sequence[FrozenTrial], attributes: Mapping[str, Any]
    ) -> tuple[FrozenTrial, dict[str, Any]]:
        sketch = _Sketch(self._shown.of(trials), len(trials))
        # A new sampler for each trial, so that a resumed study draws the same trials.
        own = self.sampler(len(trials))
        made = optuna.create_study(storage=sketch, direction="maximize", sampler=own)
        for key, value in attributes.items():
            sketch.set_study_system_attr(sketch.study, key, value)
        made.ask(fixed_distributions=self._space)
        after = sketch.get_study_system_attrs(sketch.study)
        return sketch.new, {k: v for k, v in after.items() if attributes.get(k) != v}


class _Sketch(optuna.storages.InMemoryStorage):
    """A storage of one study: trials as they are elsewhere, and a new one."""

    def __init__(self, shown: Sequence[FrozenTrial], number: int) -> None:
        super().__init__()
        self.study = -1
        self.new = FrozenTrial(
            number=number,
            trial_id=number,
            state=TrialState.RUNNING,
            value=None,
            datetime_start=datetime.now(),
            datetime_complete=None,
            params={},
            distributions={},
            user_attrs={},
            system_attrs={},
            intermediate_values={},
        )
        self._seen = [*shown, self.new]

    def create_new_study(
        self, directions: Sequence[StudyDirection], study_name: str | None = None
    ) -> int:
        self.study = super().create_new_study(directions, study_name)
        return self.study

    def create_new_trial(self, study_id: int, template_trial: FrozenTrial | None = None) -> int:
        return self.new.number

    def get_trial(self, trial_id: int) -> FrozenTrial:
        assert trial_id == self.new.number, "a sampler asks for the new trial only"
        return self.new

    def get_all_trials(
        self,
        study_id: int,
        deepcopy: bool = True,
        states: Container[TrialState] | None = None,
    ) -> list[FrozenTrial]:
        # Never copied: samplers read without a copy, and nobody else reads here.
        return [trial for trial in self._seen if states is None or trial.state in states]

    def set_trial_param(
        self,
        trial_id: int,
        param_name: str,
        param_value_internal: float,
        distribution: BaseDistribution,
    ) -> None:
        self.new.distributions[param_name] = distribution
        self.new.params[param_name] = distribution.to_external_repr(param_value_internal)

    def set_trial_system_attr(self, trial_id: int, key: str, value: Any) -> None:
        self.new.system_attrs[key] = value
