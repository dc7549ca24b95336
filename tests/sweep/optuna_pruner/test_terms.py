"""What people supply is checked, and what is wrong is said in one message."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import optuna
import pytest
import torch

from sweep.optuna_pruner import PromotionPruner, plan, report, should_prune
from tests.sweep.optuna_pruner.studies import EPOCHS, THRESHOLDS, metrics, pruner


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"thresholds": []}, "thresholds must be a list of at least one"),
        ({"thresholds": ["accuracy >= 0.7"]}, "thresholds must be a list of at least one"),
        ({"epochs": 1}, "epochs must be at least 2, got 1"),
        ({"epochs": 20.0}, "epochs must be a whole number, got 20.0"),
        ({"risk": 0}, "risk must be between 0 and 1, got 0"),
        ({"risk": 1.5}, "risk must be between 0 and 1, got 1.5"),
        ({"risk": math.nan}, "risk must be between 0 and 1, got nan"),
        ({"risk": "low"}, "risk must be a number, got 'low'"),
        ({"min_epochs": 0}, "min_epochs must be at least 1, got 0"),
        ({"min_epochs": 17}, "leaves no look at a trial of 20 epochs: the last look is after 80%"),
        ({"seed": -1}, "seed must be at least 0, got -1"),
        ({"first_step": -1}, "first_step must be at least 0, got -1"),
    ],
)
def test_a_setting_that_is_wrong_is_named(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        pruner(**settings)


@pytest.mark.parametrize(
    ("first", "step", "message"),
    [
        (1, 0, "step must be 1 to 20 in a trial of 20 epochs, got 0; if your steps start at 0"),
        (1, 21, "step must be 1 to 20 in a trial of 20 epochs, got 21$"),
        (1, -1, "got -1$"),
        (1, 1.0, "step must be a whole number, got 1.0"),
        (1, "1", "step must be a whole number, got '1'"),
        (0, 20, "step must be 0 to 19 in a trial of 20 epochs, got 20; if your steps start at 1"),
        (5, 0, "step must be 5 to 24 in a trial of 20 epochs, got 0$"),
    ],
)
def test_a_step_that_is_none_of_the_trial_is_refused(first: int, step: Any, message: str) -> None:
    trial = optuna.create_study(pruner=pruner(first_step=first)).ask()
    with pytest.raises(ValueError, match=message):
        report(trial, metrics(0.5), step)
    assert trial.user_attrs == {}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"accuracy": 0.5}, "threshold loss <= 0.3 was not reported, only accuracy"),
        ({}, "threshold accuracy >= 0.7 was not reported, only nothing"),
        ({"accuracy": None, "loss": 1}, "metric accuracy must be a number, got None"),
        ({"accuracy": "0.5", "loss": 1}, "metric accuracy must be a number, got '0.5'"),
        ({"accuracy": 0.5, "loss": 1, "note": "good"}, "metric note must be a number, got 'good'"),
    ],
)
def test_metrics_that_cannot_be_judged_are_refused(values: Any, message: str) -> None:
    trial = optuna.create_study(pruner=pruner()).ask()
    with pytest.raises(ValueError, match=message):
        report(trial, values, 1)
    assert trial.user_attrs == {}


def test_numbers_of_numpy_and_torch_are_numbers() -> None:
    trial = optuna.create_study(pruner=pruner()).ask()
    report(trial, {"accuracy": np.float32(0.5), "loss": torch.tensor(0.25)}, np.int64(1))
    assert trial.user_attrs == {"promotion.epoch.0001": {"accuracy": 0.5, "loss": 0.25}}


@pytest.mark.parametrize(
    ("schedule", "message"),
    [
        ({"lr": [0.1] * 19}, "lr must have a value for each of 20 epochs, got 19"),
        ({"lr": [math.nan] * 20}, "lr must be finite numbers"),
        ({"lr": ["high"] * 20}, "lr must be a number, got 'high'"),
        (
            {"loss_weights": {"uv": [1.0]}},
            "loss weight uv must have a value for each of 20 epochs, got 1",
        ),
    ],
)
def test_a_plan_that_is_wrong_is_refused(schedule: dict[str, Any], message: str) -> None:
    trial = optuna.create_study(pruner=pruner()).ask()
    with pytest.raises(ValueError, match=message):
        plan(trial, **schedule)
    assert trial.user_attrs == {}


def test_a_study_with_another_pruner_is_named() -> None:
    trial = optuna.create_study().ask()
    for call in (
        lambda: report(trial, metrics(0.5), 1),
        lambda: plan(trial, lr=[0.1] * EPOCHS),
        lambda: should_prune(trial),
    ):
        with pytest.raises(ValueError, match=r"the study's pruner is MedianPruner: .* with pruner"):
            call()


def test_defaults_are_those_of_the_documentation() -> None:
    terms = PromotionPruner(THRESHOLDS, EPOCHS).terms
    assert (terms.risk, terms.min_epochs, terms.seed, terms.first_step) == (0.05, 3, 0, 1)
