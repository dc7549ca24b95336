"""Replicates: when a schedule is admitted, rejected, or run once more."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.replicates import Scenario, admissions
from sweep.decisions.group_sequential import critical
from sweep.decisions.replicates import Decision, Replicate, judge
from sweep.study.calibration import Spread
from tests.sweep.decisions.strategies import thresholds

SPREADS = {
    "ssim_uv": Spread(deviation=0.01, degrees=12),
    "lpips_view": Spread(deviation=0.02, degrees=12),
}
PROBE = 0
figure = st.floats(-1, 1)
pairs = st.lists(st.tuples(figure, figure), max_size=5)


def judged(ssim: list[float], lpips: list[float] | None = None, most: int = 5) -> Decision:
    lpips = [0.3] * len(ssim) if lpips is None else lpips
    replicates = [
        Replicate(seed, {"ssim_uv": a, "lpips_view": b})
        for seed, (a, b) in enumerate(zip(ssim, lpips, strict=True), 1)
    ]
    return judge(replicates, thresholds, SPREADS, most, PROBE)


def test_without_a_replicate_nothing_is_decided() -> None:
    decision = judged([])
    assert decision.verdict == "continue"
    assert "at most 5" in decision.reason


def test_schedule_far_beyond_both_thresholds_is_admitted_after_one_replicate() -> None:
    decision = judged([0.3 + 0.05])
    assert decision.verdict == "admit"
    assert "ssim_uv >= 0.3" in decision.reason
    assert "lpips_view <= 0.5" in decision.reason


def test_narrow_lead_takes_more_replicates() -> None:
    assert judged([0.32]).verdict == "continue"
    assert judged([0.32, 0.32]).verdict == "continue"
    assert judged([0.32, 0.32, 0.32]).verdict == "admit"


def test_one_threshold_that_is_not_shown_is_enough_to_reject_at_the_last_look() -> None:
    decision = judged([0.4] * 5, [0.495] * 5)
    assert decision.verdict == "reject"
    assert "lpips_view <= 0.5" in decision.reason
    assert "ssim_uv" not in decision.reason


def test_mean_on_the_wrong_side_is_rejected_before_the_last_look() -> None:
    decision = judged([0.29])
    assert decision.verdict == "reject"
    assert "1 of at most 5" in decision.reason


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_replicate_without_a_figure_rejects(bad: float) -> None:
    decision = judged([0.4, bad])
    assert decision.verdict == "reject"
    assert "ssim_uv" in decision.reason


def test_run_of_the_selected_probe_is_never_a_replicate() -> None:
    replicate = Replicate(PROBE, {"ssim_uv": 0.4, "lpips_view": 0.3})
    with pytest.raises(ValueError, match="probe's"):
        judge([replicate], thresholds, SPREADS, 5, PROBE)


def test_one_run_does_not_count_twice() -> None:
    replicate = Replicate(1, {"ssim_uv": 0.4, "lpips_view": 0.3})
    with pytest.raises(ValueError, match="seed of its own"):
        judge([replicate, replicate], thresholds, SPREADS, 5, PROBE)


def test_more_replicates_than_planned_are_refused() -> None:
    with pytest.raises(ValueError, match="at most 2"):
        judged([0.31] * 3, most=2)


@given(pairs)
def test_interval_holds_the_mean_and_decides(values: list[tuple[float, float]]) -> None:
    decision = judged([a for a, _ in values], [b for _, b in values])
    for test in decision.tests:
        assert test.low <= test.mean <= test.high
        # the test passes exactly if the interval's end is beyond the threshold
        slack = test.low - test.bound if test.good_is_high else test.bound - test.high
        assert (slack >= -1e-12) or not test.passed
        assert (slack <= 1e-12) or test.passed
    if decision.tests:
        assert (decision.verdict == "admit") == all(test.passed for test in decision.tests)


@given(pairs.filter(bool), st.floats(0, 0.5))
def test_better_figures_never_turn_an_admission_around(
    values: list[tuple[float, float]], gain: float
) -> None:
    before = judged([a for a, _ in values], [b for _, b in values])
    after = judged([a + gain for a, _ in values], [b - gain for _, b in values])
    if before.verdict == "admit":
        assert after.verdict == "admit"


@given(pairs.filter(lambda values: len(values) == 5))
def test_last_look_always_decides(values: list[tuple[float, float]]) -> None:
    assert judged([a for a, _ in values], [b for _, b in values]).verdict != "continue"


def test_interval_is_the_mean_and_c_k_standard_errors() -> None:
    (test, _) = judged([0.31, 0.33]).tests
    half = critical(2, 5, 12) * 0.01 / math.sqrt(2)
    assert (test.low, test.high) == pytest.approx((0.32 - half, 0.32 + half))


def test_deviation_of_zero_leaves_the_decision_to_the_mean() -> None:
    exact = {name: Spread(deviation=0, degrees=3) for name in SPREADS}
    good = Replicate(1, {"ssim_uv": 0.3, "lpips_view": 0.5})
    bad = Replicate(1, {"ssim_uv": 0.29, "lpips_view": 0.5})
    assert judge([good], thresholds, exact, 5, PROBE).verdict == "admit"
    assert judge([bad], thresholds, exact, 5, PROBE).verdict == "reject"


@pytest.mark.parametrize("correlation", [-0.7, 0.9])
def test_false_admissions_stay_at_5_percent_where_one_threshold_is_just_missed(
    correlation: float,
) -> None:
    rng = np.random.default_rng(11)
    count = 800
    result = admissions(Scenario((0.0, 3.0), correlation), count, rng)
    assert result.admitted <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / count)


def test_schedule_that_is_two_deviations_better_is_nearly_always_admitted() -> None:
    result = admissions(Scenario((2.0, 2.0), 0.0), 400, np.random.default_rng(11))
    assert result.admitted > 0.93
    assert result.mean_replicates < 4
