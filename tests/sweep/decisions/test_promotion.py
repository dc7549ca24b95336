"""Promotion: whether a run passes, with the reason and the constraints."""

from __future__ import annotations

import math

import pytest
from hypothesis import given

from sweep.decisions.promotion import constraints, decide, not_numbers
from tests.sweep.decisions.strategies import metric, thresholds
from uvtex.thresholds import Threshold


@given(metric, metric)
def test_decision_passes_exactly_when_every_threshold_is_met(ssim: float, lpips: float) -> None:
    decision = decide({"ssim_uv": ssim, "lpips_view": lpips}, thresholds)
    assert decision.passed == (ssim >= 0.3 and lpips <= 0.5)
    assert decision.passed == (decision.margin >= 0)


def test_reason_names_the_threshold_that_is_missed_by_the_most() -> None:
    reason = decide({"ssim_uv": 0.29, "lpips_view": 0.9}, thresholds).reason
    assert reason == "lpips_view 0.9 misses lpips_view <= 0.5 by the most"


@pytest.mark.parametrize(
    ("figure", "printed"),
    [(0.50704, "0.507"), (0.507996, "0.507996"), (0.5079999999, "0.5079999999")],
)
def test_a_near_miss_is_printed_with_enough_digits(figure: float, printed: str) -> None:
    reason = decide({"ssim_uv": figure}, [Threshold(metric="ssim_uv", at_least=0.508)]).reason
    assert reason == f"ssim_uv {printed} misses ssim_uv >= 0.508 by the most"


@given(metric, metric)
def test_constraints_are_feasible_exactly_when_the_other_thresholds_are_met(
    ssim: float, lpips: float
) -> None:
    values = constraints({"ssim_uv": ssim, "lpips_view": lpips}, thresholds)
    assert list(values) == ["lpips_view <= 0.5"]
    assert (values["lpips_view <= 0.5"] <= 0) == (lpips <= 0.5)


def test_nan_is_listed_as_not_a_number() -> None:
    assert not_numbers({"ssim_uv": math.nan, "lpips_view": 0.2}, thresholds) == ["ssim_uv"]
