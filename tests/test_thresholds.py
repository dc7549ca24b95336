import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from uvtex.config import DEFAULT_THRESHOLDS
from uvtex.thresholds import Threshold, margin

finite = st.floats(-1e6, 1e6)


@given(finite, finite)
def test_margin_is_not_negative_exactly_when_every_threshold_passes(
    uv: float, lpips: float
) -> None:
    value = margin({"ssim_uv": uv, "lpips_view": lpips}, DEFAULT_THRESHOLDS)
    assert (value >= 0) == (uv >= 0.245 and lpips <= 0.52)


@given(st.floats(0, 1), st.floats(0, 1), st.floats(0.001, 0.5))
def test_margin_never_falls_when_a_metric_improves(uv: float, lpips: float, by: float) -> None:
    before = margin({"ssim_uv": uv, "lpips_view": lpips}, DEFAULT_THRESHOLDS)
    assert margin({"ssim_uv": uv + by, "lpips_view": lpips}, DEFAULT_THRESHOLDS) >= before
    assert margin({"ssim_uv": uv, "lpips_view": lpips - by}, DEFAULT_THRESHOLDS) >= before


def test_margin_is_the_smallest_slack_divided_by_the_scale() -> None:
    metrics = {"ssim_uv": 0.245 * 1.5, "lpips_view": 0.52 * 0.8}
    assert margin(metrics, DEFAULT_THRESHOLDS) == pytest.approx(0.2)


def test_a_given_scale_and_a_threshold_of_zero_are_used() -> None:
    assert Threshold(metric="m", at_least=0.0).slack(-3) == -3
    assert Threshold(metric="m", at_most=2.0, scale=4).slack(4) == -0.5


def test_nan_never_passes() -> None:
    assert Threshold(metric="m", at_most=1).slack(math.nan) == -math.inf


def test_no_threshold_and_a_missing_metric_are_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        margin({"ssim_uv": 1.0}, [])
    with pytest.raises(KeyError, match="lpips_view"):
        margin({"ssim_uv": 1.0}, DEFAULT_THRESHOLDS)


@pytest.mark.parametrize("sides", [{}, {"at_least": 1, "at_most": 2}, {"at_least": math.nan}])
def test_a_threshold_has_exactly_one_finite_side(sides: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        Threshold(metric="m", **sides)
