"""The champion changes only by a comparison paired by seed."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.replicates import Scenario, replacements
from sweep.decisions.champion import Comparison, Contender, compare, joint_noise, pair_spread
from sweep.study.calibration import MetricNoise, Spread
from tests.sweep.decisions.strategies import thresholds
from uvtex.metric_catalogue import versions

TODAY = versions("0.1")


def noise(deviation: float) -> MetricNoise:
    return MetricNoise(
        seeds=Spread(deviation=deviation, degrees=12),
        pairs=Spread(deviation=deviation, degrees=10),
    )


NOISE = {"ssim_uv": noise(0.01), "lpips_view": noise(0.02)}
figure = st.floats(0, 1)
figures = st.dictionaries(
    st.integers(1, 5),
    st.fixed_dictionaries({"ssim_uv": figure, "lpips_view": figure}),
    max_size=5,
)


def contender(name: str, values: dict[int, dict[str, float]]) -> Contender:
    return Contender(name, values, TODAY, "pictures")


def constant(name: str, ssim: float, lpips: float, seeds: int = 5) -> Contender:
    values = {seed: {"ssim_uv": ssim, "lpips_view": lpips} for seed in range(1, seeds + 1)}
    return contender(name, values)


def compared(challenger: Contender, champion: Contender | None) -> Comparison:
    return compare(challenger, champion, thresholds, "ssim_uv", NOISE, 5)


def test_the_first_admitted_version_is_champion() -> None:
    assert compared(constant("new", 0.4, 0.4), None).verdict == "challenger"


def test_better_objective_and_equal_rest_replace_the_champion() -> None:
    answer = compared(constant("new", 0.45, 0.4), constant("old", 0.4, 0.4))
    assert answer.verdict == "challenger"
    assert "new replaces old" in answer.reason


def test_loss_of_more_than_one_deviation_on_another_metric_keeps_the_champion() -> None:
    answer = compared(constant("new", 0.45, 0.43), constant("old", 0.4, 0.4))
    assert answer.verdict == "champion"
    assert "lpips_view not worse by 0.02" in answer.reason


def test_gain_on_another_metric_alone_keeps_the_champion() -> None:
    answer = compared(constant("new", 0.4, 0.3), constant("old", 0.4, 0.4))
    assert answer.verdict == "champion"


def test_only_seeds_that_both_have_are_compared() -> None:
    few = constant("old", 0.4, 0.4, seeds=2)
    answer = compared(constant("new", 0.41, 0.4), few)
    assert answer.seeds == (1, 2)
    assert answer.verdict == "continue"


def test_without_a_common_seed_the_champion_stays() -> None:
    other = contender("old", {9: {"ssim_uv": 0.1, "lpips_view": 0.9}})
    answer = compared(constant("new", 0.9, 0.1), other)
    assert answer.verdict == "continue"
    assert "no seed in common" in answer.reason


@given(figures, figures)
def test_two_versions_never_replace_each_other(
    one: dict[int, dict[str, float]], other: dict[int, dict[str, float]]
) -> None:
    a, b = contender("a", one), contender("b", other)
    verdicts = {compared(a, b).verdict, compared(b, a).verdict}
    assert verdicts != {"challenger"}


@given(figures.filter(bool))
def test_a_version_never_replaces_its_equal(values: dict[int, dict[str, float]]) -> None:
    assert compared(contender("a", values), contender("b", values)).verdict != "challenger"


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"data_fingerprint": "others"}, "test pictures"),
        ({"data_fingerprint": None}, "test pictures"),
        ({"figures": {}}, "old holds no figures by seed"),
        ({"figures": {1: {"ssim_uv": 0.1}}}, "no figure for lpips_view under seed 1"),
        ({"figures": {1: {"ssim_uv": math.nan, "lpips_view": 0.1}}}, "no figure for ssim_uv"),
        ({"definitions": TODAY | {"ssim": "another one"}}, "ssim_uv"),
    ],
)
def test_champion_stays_where_figures_do_not_compare_and_the_reason_is_named(
    change: dict[str, object], word: str
) -> None:
    old = replace(constant("old", 0.1, 0.9), **change)  # type: ignore[arg-type]
    answer = compared(constant("new", 0.9, 0.1), old)
    assert answer.verdict == "champion"
    assert word in answer.reason


def test_an_absent_calibration_keeps_the_champion_and_says_what_to_do() -> None:
    answer = compare(
        constant("new", 0.9, 0.1), constant("old", 0.1, 0.9), thresholds, "ssim_uv", {}, 5
    )
    assert answer.verdict == "champion"
    assert "run `sweep calibrate`" in answer.reason


def test_versions_of_two_studies_are_compared_as_independent() -> None:
    other = {"ssim_uv": noise(0.03).model_copy(update={"seeds": Spread(deviation=0.04, degrees=3)})}
    mine = {"ssim_uv": noise(0.03), "lpips_view": noise(0.02)}
    assert joint_noise(mine, other, one_study=True) == mine
    found = joint_noise(mine, other, one_study=False)
    assert found["ssim_uv"].pairs == Spread(deviation=0.05, degrees=3)
    assert found["ssim_uv"].seeds == mine["ssim_uv"].seeds
    alone = found["lpips_view"].pairs
    assert alone is not None
    assert alone.deviation == pytest.approx(0.02 * math.sqrt(2))


def test_without_pairs_in_the_calibration_the_spread_is_that_of_independent_runs() -> None:
    alone = MetricNoise(seeds=Spread(deviation=0.01, degrees=2))
    assert pair_spread(alone).deviation == pytest.approx(0.01 * math.sqrt(2))


@pytest.mark.parametrize(
    "scenario", [Scenario((0.0, 1.0), rho=0.6), Scenario((3.0, 0.0), rho=0.8, at_margin=True)]
)
def test_false_replacements_stay_at_5_percent(scenario: Scenario) -> None:
    count = 800
    rates = replacements(scenario, count, np.random.default_rng(4))
    assert rates.admitted <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / count)


def test_clear_lead_nearly_always_replaces() -> None:
    rates = replacements(Scenario((3.0, 1.0), rho=0.5), 150, np.random.default_rng(4))
    assert rates.admitted > 0.9
