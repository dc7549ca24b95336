"""Forecasts of learning curves."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweep.decisions.forecast import LEAST, forecast
from tests.sweep.decisions.strategies import metric

curves = st.lists(metric, min_size=LEAST, max_size=30)


@given(curves, st.floats(-2, 2), st.floats(0.1, 10))
def test_forecast_shifts_and_scales_with_the_metric(
    values: list[float], shift: float, scale: float
) -> None:
    epochs = len(values) + 5
    plain = forecast(values, epochs)
    moved = forecast([scale * value + shift for value in values], epochs)
    assert moved.mean == pytest.approx(scale * plain.mean + shift, rel=1e-3, abs=1e-3 * scale)
    assert moved.std == pytest.approx(scale * plain.std, rel=1e-2, abs=1e-3 * scale)


@given(curves)
def test_forecast_of_a_finished_curve_is_its_last_value(values: list[float]) -> None:
    end = forecast(values, len(values))
    assert (end.mean, end.std) == (values[-1], 0.0)


@given(metric, st.floats(-1, 1), st.sampled_from([0.125, 0.25, 0.5, 1.0]), st.integers(5, 15))
def test_forecast_finds_the_end_of_a_saturating_curve(
    a: float, b: float, tau: float, n: int
) -> None:
    curve = [a + b * math.exp(-e / (20 * tau)) for e in range(20)]
    end = forecast(curve[:n], 20)
    assert end.mean == pytest.approx(curve[-1], abs=1e-6)
    assert end.std <= max(0.5 * abs(b), 1e-6)


def test_forecast_of_a_constant_is_certain() -> None:
    end = forecast([0.2] * 5, 20)
    assert end.mean == pytest.approx(0.2)
    assert end.std == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("values", [[0.1, 0.2], [0.1, math.nan, 0.2], [0.1] * 30])
def test_forecast_refuses_a_curve_that_it_cannot_fit(values: list[float]) -> None:
    with pytest.raises(ValueError, match="forecast needs"):
        forecast(values, 20)
