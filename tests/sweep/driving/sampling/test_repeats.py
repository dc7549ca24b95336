"""A suggestion whose settings were trained already is not trained again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.distributions import FloatDistribution, IntDistribution

from sweep.driving.sampling import repeats
from sweep.driving.sampling.optuna_storage import open_storage
from sweep.driving.sampling.stored_study import REPEATS
from sweep.study.config import StudyConfig
from sweep.study.folder import UNFINISHED, records
from sweep.study.search.distributions import distributions
from tests.sweep.driving.sampling.asking import ask, opened, told
from tests.sweep.driving.test_driver import drive
from tests.sweep.fakes import study

CHOICES: dict[str, Any] = {
    "schedule.direct": {"choices": [0.2, 0.9]},
    "width": {"choices": [1, 2]},
}


def made(folder: Path, trials: int = 12, **search: Any) -> StudyConfig:
    return study(folder, trials=trials, search={"space": CHOICES, "queue": [], **search})


@pytest.mark.parametrize("sampler", ["tpe", "gp", "cmaes", "qmc", "random"])
def test_each_point_is_asked_for_once_and_then_there_is_no_trial(
    tmp_path: Path, sampler: str
) -> None:
    config = made(tmp_path, sampler=sampler, startup_trials=2)
    found = ask(config, 3) + ask(config, 9)
    assert len(found) == len({str(params) for params in found}) == 4
    trials = opened(config)
    assert trials.ask() is None
    assert trials.exhausted == "every point of the search space was tried"
    trials.close()


@pytest.mark.parametrize("state", ["complete", "pruned"])
def test_a_repeat_is_told_the_known_result(tmp_path: Path, state: Any) -> None:
    config = made(tmp_path, sampler="random")
    ask(config, 4, state)
    trials, _ = told(config)
    repeated = [trial for trial in trials if REPEATS in trial.user_attrs]
    assert repeated
    for trial in repeated:
        first = trials[trial.user_attrs[REPEATS]]
        assert first.number < trial.number
        assert REPEATS not in first.user_attrs
        assert trial.params == first.params
        assert (trial.state, trial.values) == (first.state, first.values)
        assert trial.intermediate_values == first.intermediate_values
        assert trial.constraints == first.constraints
    assert len(trials) - len(repeated) == 4


def test_a_point_that_runs_just_now_is_not_asked_for_again(tmp_path: Path) -> None:
    config = made(tmp_path, sampler="random")
    trials = opened(config)
    asked = [trials.ask() for _ in range(4)]
    assert len({str(one.params) for one in asked if one is not None}) == 4
    assert trials.ask() is None
    assert trials.numbers() == {one.number for one in asked if one is not None}
    trials.close()


def test_settings_that_run_alike_are_repeats_whatever_their_parameters(tmp_path: Path) -> None:
    """With a constant learning rate T_max has no effect."""
    space = {"schedule.direct": {"choices": [0.2]}, "schedule.tmax": {"low": 0.5, "high": 2}}
    config = made(tmp_path, space=space)
    assert len(ask(config, 1)) == 1
    trials = opened(config)
    assert trials.ask() is None
    assert trials.exhausted == (
        f"the last {repeats.MOST_REPEATS} suggestions of the sampler were trained already"
    )
    trials.close()


def test_with_normalised_weights_settings_of_equal_ratios_are_the_same(tmp_path: Path) -> None:
    terms = ("cycle", "uv", "direct", "cross")
    space = {f"schedule.{term}": {"low": 0.1, "high": 1} for term in terms}
    one, other = (dict.fromkeys(terms, weight) for weight in (0.25, 0.5))
    for normalise in (True, False):
        config = made(tmp_path, space=space, normalise=normalise)
        same = repeats.fingerprint(config, one) == repeats.fingerprint(config, other)
        assert same is normalise


def test_a_queued_schedule_is_trained_although_the_sampler_had_its_settings(
    tmp_path: Path,
) -> None:
    space = {"schedule.direct": {"choices": [0.3]}}
    config = made(tmp_path, space=space)
    assert ask(config, 2) == [{"direct": 0.3}]
    queued = made(tmp_path, space=space, queue=["baseline"])
    assert ask(queued, 2) == [{"direct": 0.3}]


def test_a_failed_point_may_be_tried_again(tmp_path: Path) -> None:
    config = made(tmp_path, space={"schedule.direct": {"choices": [0.3]}})
    assert ask(config, 2, "failed") == [{"direct": 0.3}] * 2


def test_the_study_ends_when_every_point_was_tried_and_goes_on_from_there(tmp_path: Path) -> None:
    config = made(tmp_path, sampler="random")
    outcome, _ = drive(config)
    assert outcome == "ended early"
    probes = [r for r in records(config.paths.folder) if r.stage == "probe"]
    assert len(probes) == len({str(record.params) for record in probes}) == 4
    trials, _ = told(config)
    numbers = {trial.number for trial in trials if REPEATS not in trial.user_attrs}
    assert {record.trial for record in probes} == numbers
    assert len(trials) > 4
    outcome, launcher = drive(config)
    assert (outcome, launcher.jobs) == ("ended early", [])


def test_a_driver_that_died_before_it_settled_a_repeat_leaves_no_run(tmp_path: Path) -> None:
    config = made(tmp_path, trials=2)
    drive(config)
    first = min(records(config.paths.folder), key=lambda record: record.trial)
    storage = open_storage(config.optuna_url)
    found = optuna.load_study(study_name=config.name, storage=storage)
    found.enqueue_trial(dict(first.params))
    lost = found.ask(fixed_distributions=distributions(config.search)).number
    storage.remove_session()
    storage.engine.dispose()
    drive(made(tmp_path, trials=3))
    probes = [r for r in records(config.paths.folder) if r.stage == "probe"]
    assert len({str(record.params) for record in probes}) == 3
    assert lost not in {record.trial for record in probes}
    assert all(record.state not in UNFINISHED for record in probes)
    assert told(config)[0][lost].user_attrs[REPEATS] == first.trial


def test_the_number_of_points_of_a_space() -> None:
    assert repeats.number_of_points({"a": IntDistribution(1, 3), "b": IntDistribution(0, 1)}) == 6
    assert repeats.number_of_points({"a": FloatDistribution(0, 1)}) == float("inf")
