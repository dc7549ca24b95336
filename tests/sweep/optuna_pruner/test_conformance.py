"""Our pruner and Optuna's own in the suite. Where one differs by design, that is shown too."""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
from optuna.exceptions import ExperimentalWarning
from optuna.pruners import (
    BasePruner,
    HyperbandPruner,
    MedianPruner,
    NopPruner,
    PatientPruner,
    PercentilePruner,
    SuccessiveHalvingPruner,
    ThresholdPruner,
    WilcoxonPruner,
)
from optuna.storages import RDBStorage

from sweep.optuna_pruner import PromotionPruner, report
from tests.sweep.optuna_pruner.conformance import BEHAVIOURS, EPOCHS, Case, Direction
from uvtex.thresholds import Threshold

FROM_4 = frozenset(range(4, EPOCHS + 1))
EVERY_OTHER = frozenset(range(4, EPOCHS + 1, 2))

NUMPY = {"answers_with_a_bool": "it returns numpy's comparison of two values, a numpy.bool"}
NEVER = "it never prunes"
BOUNDS = "its bounds need no other trial"
RUNGS = {
    "answers_the_same_when_asked_again": "to ask completes the rung, and the next one is not due",
    "changes_nothing_when_asked": "it keeps completed rungs as system attributes of the trial",
}


def promotion(direction: Direction) -> BasePruner:
    """Its seed is one under which no trial of the suite is audited."""
    bound = {"at_least": 0.6} if direction == "maximize" else {"at_most": -0.6}
    return PromotionPruner([Threshold(metric="goodness", **bound)], EPOCHS, min_epochs=4, seed=9)


def threshold(direction: Direction) -> BasePruner:
    lower, upper = (0.1, None) if direction == "maximize" else (None, -0.1)
    return ThresholdPruner(lower, upper, n_warmup_steps=4, interval_steps=2)


def patient(direction: Direction) -> BasePruner:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        return PatientPruner(MedianPruner(), patience=2)


def wilcoxon(direction: Direction) -> BasePruner:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        return WilcoxonPruner(n_startup_steps=4)


CASES = (
    Case(
        "promotion",
        promotion,
        checks=frozenset({4, 5, 7, 8}),
        report=lambda trial, value, step: report(trial, {"goodness": value}, step),
    ),
    Case(
        "nop",
        lambda direction: NopPruner(),
        checks=frozenset(),
        differs={
            "prunes_a_hopeless_trial": NEVER,
            "prunes_a_hopeless_trial_that_asks_at_some_steps_only": NEVER,
        },
    ),
    Case(
        "median",
        lambda direction: MedianPruner(n_warmup_steps=4, interval_steps=2),
        checks=EVERY_OTHER,
        differs=NUMPY,
    ),
    Case(
        "percentile",
        lambda direction: PercentilePruner(25.0, n_warmup_steps=4, interval_steps=2),
        checks=EVERY_OTHER,
        differs=NUMPY,
    ),
    Case("patient", patient, checks=FROM_4, differs=NUMPY),
    Case(
        "successive-halving",
        lambda direction: SuccessiveHalvingPruner(min_resource=4, reduction_factor=2),
        checks=frozenset({4, 8}),
        differs=RUNGS,
    ),
    Case(
        "hyperband",
        lambda direction: HyperbandPruner(4, EPOCHS, reduction_factor=2),
        checks=frozenset({4, 8}),
        differs=RUNGS,
    ),
    Case(
        "threshold",
        threshold,
        checks=EVERY_OTHER,
        differs={"does_not_prune_the_first_trial": BOUNDS},
    ),
    Case("wilcoxon", wilcoxon, checks=FROM_4),
)


@pytest.fixture(scope="module")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("optuna") / "study.db"
    storage = RDBStorage(f"sqlite:///{path}")
    storage.remove_session()
    storage.engine.dispose()
    return path


@pytest.mark.parametrize("behaviour", BEHAVIOURS, ids=lambda behaviour: behaviour.__name__)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_pruner(
    case: Case,
    behaviour: Callable[[Case, Path], None],
    tmp_path: Path,
    empty_database: Path,
) -> None:
    shutil.copy(empty_database, tmp_path)
    if behaviour.__name__ in case.differs:
        with pytest.raises(AssertionError):
            behaviour(case, tmp_path)
    else:
        behaviour(case, tmp_path)


def test_every_difference_is_one_of_a_behaviour() -> None:
    known = {behaviour.__name__ for behaviour in BEHAVIOURS}
    for case in CASES:
        assert set(case.differs) <= known, case.name
