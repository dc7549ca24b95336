"""The bound by hindsight: the best cut of chances that are known."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from benchmarks.promotion.hindsight import FORECASTS, best_cut, draws, main
from benchmarks.promotion.task import load

OWN = Path(__file__).parents[2] / "benchmarks" / "promotion" / "curves" / "probe.npz"


def test_chances_that_know_the_end_reach_the_whole_saving_and_reversed_ones_none() -> None:
    task = load(OWN, 0.3)
    rows = range(100)
    passes = task.passes.astype(float)
    assert best_cut(task, rows, lambda part, *_: passes[list(part)], 0.05) == 1.0
    assert best_cut(task, rows, lambda part, *_: 1.01 - passes[list(part)], 0.05) == 0.0


def test_chances_that_are_all_alike_save_nothing() -> None:
    task = load(OWN, 0.3)
    assert best_cut(task, range(100), lambda part, *_: np.full(len(part), 0.1), 0.05) == 0.0


def test_no_configuration_is_on_both_sides_of_a_division() -> None:
    task = load(OWN, 0.3)
    for known, rest in draws(task, 60, 0, 5):
        assert len(known) == 60
        assert not set(task.config[known]) & set(task.config[rest])
        assert len(set(task.config[rest])) == len(set(task.config.tolist())) - 60


@pytest.mark.parametrize("name", FORECASTS)
def test_every_forecast_gives_chances(name: str) -> None:
    task = load(OWN, 0.3)
    ((known, rest),) = draws(task, 60, 0, 1)
    told = FORECASTS[name](task, known)(rest, 1, 4)
    assert told.shape == (len(rest),)
    assert 0 <= told.min() < told.max() <= 1
    good = task.passes[rest]
    assert told[good].mean() > told[~good].mean()


def test_it_prints_a_line_for_each_file_and_pass_rate() -> None:
    args = [str(OWN), "--pass-rate", "0.3", "--draws", "2", "--known", "40"]
    done = CliRunner().invoke(main, args)
    assert done.exit_code == 0, done.output
    assert done.output.startswith("probe 30%, 2 draws: ours ")
    assert not any(
        math.isnan(float(word.strip("(+-)%,")))
        for word in done.output.split()
        if "%" in word.strip(",)") and word[0].isdigit()
    )


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (["--known", "240"], "has 240 configurations, so that --known 240 leaves none to judge"),
        (["--known", "12", "--draws", "3", "--pass-rate", "0.01"], "of 3 draws"),
    ],
)
def test_a_file_that_cannot_be_divided_is_told(args: list[str], told: str) -> None:
    done = CliRunner().invoke(main, [str(OWN), *args])
    assert done.exit_code == 1
    (message,) = done.output.splitlines()
    assert told in message
    assert str(OWN) in message
