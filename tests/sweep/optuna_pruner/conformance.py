"""What every pruner of Optuna is to do: a suite that any ``BasePruner`` can be run through.

Optuna has such suites for samplers and storages (``optuna.testing``), and none for pruners. The
behaviours here are what the documentation of ``Trial.report`` and ``Trial.should_prune`` promises,
and what Optuna's tests of single pruners check. :data:`BEHAVIOURS` has them all. Each takes a
:class:`Case` and an empty folder, and raises ``AssertionError`` if the pruner does not show it. The
folder may have an empty Optuna database, ``study.db``: to make one takes a second.
"""

from __future__ import annotations

import copy
import math
import pickle
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Literal

import numpy as np
import optuna
from optuna.pruners import BasePruner
from optuna.storages import BaseStorage, InMemoryStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import Trial, TrialState

EPOCHS = 10
"""Steps of a whole trial, counted from 1."""

HISTORY = 24

NAME = "conformance"
"""Of every study: Hyperband draws brackets by it."""

Direction = Literal["minimize", "maximize"]
Curve = Callable[[int], float]
Ask = Callable[[Trial], bool]


@dataclass(frozen=True, eq=False)
class Case:
    """A pruner under test."""

    name: str
    make: Callable[[Direction], BasePruner]
    """A new pruner for trials of ``EPOCHS`` steps whose goodness is about 0 to 1."""
    checks: frozenset[int]
    """The steps at which it may prune."""
    report: Callable[[Trial, float, int], None] = Trial.report
    """Reports a value of a step, as the pruner wants it."""
    differs: Mapping[str, str] = field(default_factory=dict)
    """Name of a behaviour that it does not show, by design -> why."""


def rising(end: float) -> Curve:
    """A curve of goodness that saturates at ``end``."""
    return lambda step: end * (1 - math.exp(-step / 3))


def hopeless(step: int) -> float:
    """The worst curve: it starts low and falls."""
    return 0.05 - 0.004 * step


best = rising(1.5)
"""At every step better than all others."""


@contextmanager
def study_of(
    case: Case,
    direction: Direction = "maximize",
    storage: BaseStorage | None = None,
    past: int = HISTORY,
) -> Iterator[optuna.Study]:
    """A study with ``past`` trials that asked and ended nevertheless.

    Warnings of Optuna count as answers.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        store = storage or InMemoryStorage()
        made = _past(case, direction, past)
        optuna.copy_study(from_study_name=NAME, from_storage=made, to_storage=store)
        yield loaded(case, direction, store)


@cache
def _past(case: Case, direction: Direction, trials: int) -> InMemoryStorage:
    storage = InMemoryStorage()
    optuna.create_study(study_name=NAME, storage=storage, direction=direction)
    study = loaded(case, direction, storage)
    for end in np.random.default_rng(0).uniform(0.2, 1.0, trials):
        run(case, study, rising(end), obeys=False)
    return storage


def loaded(case: Case, direction: Direction, storage: BaseStorage) -> optuna.Study:
    """The study in ``storage``, as another process loads it, with a new pruner."""
    return optuna.load_study(
        study_name=NAME,
        storage=storage,
        pruner=case.make(direction),
        sampler=optuna.samplers.RandomSampler(seed=0),
    )


def run(
    case: Case,
    study: optuna.Study,
    curve: Curve,
    asks: Ask = Trial.should_prune,
    at: frozenset[int] = frozenset(range(1, EPOCHS + 1)),
    obeys: bool = True,
) -> int | None:
    """Runs a trial that follows ``curve``; the step at which it was pruned, if it was.

    Args:
        at: steps at which it asks.
        obeys: whether it stops when it is told to.
    """
    sign = 1 if study.direction == optuna.study.StudyDirection.MAXIMIZE else -1
    trial = study.ask()
    trial.suggest_float("x", 0, 1)
    for step in range(1, EPOCHS + 1):
        case.report(trial, sign * curve(step), step)
        if step in at and asks(trial) and obeys:
            study.tell(trial, state=TrialState.PRUNED)
            return step
    value = sign * curve(EPOCHS)
    if math.isnan(value):
        study.tell(trial, state=TrialState.FAIL)
    else:
        study.tell(trial, value)
    return None


def verdicts(case: Case, study: optuna.Study, asks: Ask = Trial.should_prune) -> list[int | None]:
    """What becomes of a hopeless trial, a middling one and the best one."""
    return [run(case, study, curve, asks) for curve in (hopeless, rising(0.4), best)]


def does_not_prune_a_trial_without_reports(case: Case, folder: Path) -> None:
    with study_of(case) as study:
        assert not study.ask().should_prune()


def does_not_prune_the_first_trial(case: Case, folder: Path) -> None:
    with study_of(case, past=0) as study:
        assert run(case, study, hopeless) is None


def does_not_prune_the_best_trial(case: Case, folder: Path) -> None:
    with study_of(case) as study:
        assert run(case, study, best) is None


def does_not_prune_a_trial_like_all_others(case: Case, folder: Path) -> None:
    with study_of(case, past=0) as study:
        some = frozenset({4, 8})  # ties make Wilcoxon's test slow
        for _ in range(HISTORY // 2):
            run(case, study, lambda step: 0.7, at=some, obeys=False)
        assert run(case, study, lambda step: 0.7) is None


def prunes_a_hopeless_trial(case: Case, folder: Path) -> None:
    with study_of(case) as study:
        assert run(case, study, hopeless) is not None


def prunes_a_hopeless_trial_that_asks_at_some_steps_only(case: Case, folder: Path) -> None:
    with study_of(case) as study:
        some = frozenset(list(range(EPOCHS, 0, -3)))
        assert run(case, study, hopeless, at=some) in some


def prunes_at_its_checks_only(case: Case, folder: Path) -> None:
    with study_of(case) as study:
        ends = np.random.default_rng(1).uniform(0, 1, 12)
        found = [run(case, study, curve) for curve in (hopeless, *map(rising, ends))]
    assert {step for step in found if step is not None} <= case.checks


def answers_the_same_when_asked_again(case: Case, folder: Path) -> None:
    def twice(trial: Trial) -> bool:
        first = trial.should_prune()
        assert trial.should_prune() == first
        return first

    with study_of(case) as study:
        verdicts(case, study, twice)


def answers_the_same_when_asked_directly(case: Case, folder: Path) -> None:
    def directly(trial: Trial) -> bool:
        frozen = trial.study.get_trials(deepcopy=False)[trial.number]
        return trial.study.pruner.prune(trial.study, frozen)

    with study_of(case) as study, study_of(case) as twin:
        assert verdicts(case, study) == verdicts(case, twin, directly)


def answers_with_a_bool(case: Case, folder: Path) -> None:
    def plainly(trial: Trial) -> bool:
        answer = trial.should_prune()
        assert type(answer) is bool
        return answer

    with study_of(case) as study:
        verdicts(case, study, plainly)


def changes_nothing_when_asked(case: Case, folder: Path) -> None:
    def unchanged(trial: Trial) -> bool:
        before = trial.study.get_trials()
        answer = trial.should_prune()
        assert trial.study.get_trials() == before
        return answer

    with study_of(case) as study:
        verdicts(case, study, unchanged)
        assert study.user_attrs == {}


def judges_both_directions_alike(case: Case, folder: Path) -> None:
    with study_of(case, "maximize") as up, study_of(case, "minimize") as down:
        assert verdicts(case, up) == verdicts(case, down)


def takes_values_that_are_no_numbers(case: Case, folder: Path) -> None:
    for odd in (math.nan, math.inf, -math.inf):
        shapes: list[Curve] = [
            lambda step, odd=odd: odd,
            lambda step, odd=odd: odd if step > 3 else 0.3,
            lambda step, odd=odd: odd if step == 1 else 0.3,
        ]
        with study_of(case) as study:
            for shape in shapes:
                run(case, study, shape)
                run(case, study, shape, obeys=False)
            assert run(case, study, best) is None or odd == math.inf  # which is better


def takes_steps_with_gaps_and_in_any_order(case: Case, folder: Path) -> None:
    with study_of(case) as study:
        for steps in ([2, 5, 3, 9], [9, 1], [10, 9, 8, 7, 6, 5, 4, 3, 2, 1]):
            trial = study.ask()
            for step in steps:
                case.report(trial, rising(0.4)(step), step)
                trial.should_prune()
            study.tell(trial, 0.4)
        assert run(case, study, best) is None


def takes_trials_that_failed_were_pruned_or_said_nothing(case: Case, folder: Path) -> None:
    with study_of(case) as study:
        for state in (TrialState.FAIL, TrialState.PRUNED, TrialState.COMPLETE):
            for reports in (0, 1, EPOCHS):
                trial = study.ask()
                for step in range(1, reports + 1):
                    case.report(trial, 0.3, step)
                value = 0.3 if state == TrialState.COMPLETE else None
                study.tell(trial, value, state=state)
        case.report(study.ask(), 0.3, 1)  # it goes on
        assert run(case, study, best) is None
        assert run(case, study, hopeless) in {None, *case.checks}


def judges_alike_in_every_storage(case: Case, folder: Path) -> None:
    storages = [
        RDBStorage(f"sqlite:///{folder / 'study.db'}"),
        JournalStorage(JournalFileBackend(str(folder / "study.log"))),
    ]
    with study_of(case, past=16) as study:
        wanted = run(case, study, hopeless)
    for storage in storages:
        with study_of(case, storage=storage, past=16) as study:
            assert run(case, study, hopeless) == wanted
        storage.remove_session()


def judges_alike_in_a_study_that_was_loaded_again(case: Case, folder: Path) -> None:
    storage = InMemoryStorage()
    with study_of(case) as study, study_of(case, storage=storage) as twin:
        wanted = [run(case, study, hopeless), *verdicts(case, study)]
        first = run(case, twin, hopeless)
        again = loaded(case, "maximize", storage)
        assert [first, *verdicts(case, again)] == wanted


def judges_alike_as_a_copy(case: Case, folder: Path) -> None:
    for copied in (copy.deepcopy, lambda pruner: pickle.loads(pickle.dumps(pruner))):
        with study_of(case) as study, study_of(case) as twin:
            run(case, study, hopeless)
            run(case, twin, hopeless)
            twin.pruner = copied(twin.pruner)
            assert verdicts(case, study) == verdicts(case, twin)


def works_in_threads(case: Case, folder: Path) -> None:
    def objective(trial: Trial) -> float:
        curve = rising(trial.suggest_float("x", 0, 1))
        for step in range(1, EPOCHS + 1):
            case.report(trial, curve(step), step)
            if trial.should_prune():
                raise optuna.TrialPruned
        return curve(EPOCHS)

    with study_of(case) as study:
        study.optimize(objective, n_trials=40, n_jobs=4)
        states = [trial.state for trial in study.get_trials()[-40:]]
    assert set(states) <= {TrialState.COMPLETE, TrialState.PRUNED}


BEHAVIOURS: tuple[Callable[[Case, Path], None], ...] = (
    does_not_prune_a_trial_without_reports,
    does_not_prune_the_first_trial,
    does_not_prune_the_best_trial,
    does_not_prune_a_trial_like_all_others,
    prunes_a_hopeless_trial,
    prunes_a_hopeless_trial_that_asks_at_some_steps_only,
    prunes_at_its_checks_only,
    answers_the_same_when_asked_again,
    answers_the_same_when_asked_directly,
    answers_with_a_bool,
    changes_nothing_when_asked,
    judges_both_directions_alike,
    takes_values_that_are_no_numbers,
    takes_steps_with_gaps_and_in_any_order,
    takes_trials_that_failed_were_pruned_or_said_nothing,
    judges_alike_in_every_storage,
    judges_alike_in_a_study_that_was_loaded_again,
    judges_alike_as_a_copy,
    works_in_threads,
)
