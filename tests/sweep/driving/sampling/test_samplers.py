"""Optuna's samplers on real storage: what they draw, and what they are told."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import pytest

from sweep.study.config import StudyConfig
from sweep.study.search.settings import SamplerName
from tests.sweep.driving.sampling.asking import ask, told
from tests.sweep.fakes import study
from uvtex.errors import ConfigError

SPACE = {
    "schedule.direct.start": {"low": 0.05, "high": 1},
    "schedule.cross.end": {"low": 0.01, "high": 1, "log": True},
    "batch_size": {"low": 2, "high": 12},
    "schedule.lr_scheduler": {"choices": ["none", "cosine"]},
}
SAMPLERS = get_args(SamplerName)
BOTH = [{"metric": "ssim_uv", "at_least": 0.6}, {"metric": "haarpsi_view", "at_least": 0.3}]


def made(folder: Path, sampler: str, **changes: Any) -> StudyConfig:
    search = {"space": SPACE, "startup_trials": 2, "sampler": sampler, "queue": []}
    return study(folder, thresholds=BOTH, search=search, **changes)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_resumed_study_draws_what_an_uninterrupted_one_does(tmp_path: Path, sampler: str) -> None:
    whole = ask(made(tmp_path / "a", sampler), 5)
    parts = [drawn for number in (1, 2, 2) for drawn in ask(made(tmp_path / "b", sampler), number)]
    assert whole == parts
    assert len({str(params) for params in whole}) == 5
    for params in whole:
        assert list(params) == ["direct_start", "cross_end", "lr_scheduler", "batch_size"]
        assert isinstance(params["batch_size"], int)
        assert 2 <= params["batch_size"] <= 12
        assert params["lr_scheduler"] in ("none", "cosine")


@pytest.mark.parametrize(
    ("sampler", "mark"), [("gp", "gp:relative_params:0"), ("cmaes", "cma:generation")]
)
def test_a_sampler_learns_from_whole_and_from_pruned_trials_after_the_startup(
    tmp_path: Path, sampler: str, mark: str
) -> None:
    config = made(tmp_path, sampler)
    ask(config, 1, "pruned")
    ask(config, 3)
    trials, _ = told(config)
    assert [mark in trial.system_attrs for trial in trials] == [False] * 2 + [True] * 2


def test_qmc_walks_one_sequence(tmp_path: Path) -> None:
    config = made(tmp_path, "qmc")
    ask(config, 5)
    _, attributes = told(config)
    (position,) = [value for key, value in attributes.items() if key.startswith("qmc:")]
    assert position == 3  # from 0; the first trial is drawn before the sequence starts


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_pruned_trial_is_told_so_that_the_sampler_reads_it(tmp_path: Path, sampler: str) -> None:
    """docs/decisions/0018: ``gp`` and ``cmaes`` pass over the state PRUNED."""
    config = made(tmp_path, sampler)
    ask(config, 1, "pruned")
    ((trial,), _) = told(config)
    assert trial.state.name == ("COMPLETE" if sampler in ("gp", "cmaes") else "PRUNED")
    assert list(trial.intermediate_values) == [1, 2]
    assert trial.value == trial.intermediate_values[2]
    assert set(trial.constraints) == (set() if sampler == "cmaes" else {"haarpsi_view >= 0.3"})


def test_a_queued_value_may_be_a_choice_that_is_written_as_a_whole_number(tmp_path: Path) -> None:
    search = {"space": {"width": {"choices": [1, 2]}}, "queue": ["baseline"]}
    assert ask(study(tmp_path, search=search), 1) == [{"width": 1}]


def test_an_unknown_sampler_is_refused_with_the_names(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"search.sampler: must be 'tpe', 'gp', 'cmaes'"):
        made(tmp_path, "tpee")
