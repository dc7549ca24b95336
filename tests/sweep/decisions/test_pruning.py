"""Pruning of probes that will not pass."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweep.decisions.pruning import judge
from sweep.study.config import Pruning
from tests.sweep.decisions.strategies import metric, thresholds

SETTINGS = Pruning(warmup_epochs=4)


def judged(ssim: list[float], settings: Pruning = SETTINGS, total: int = 20) -> Any:
    epochs = [{"ssim_uv": value, "lpips_view": 0.4} for value in ssim]
    return judge(epochs, thresholds, total, settings)


def test_nothing_is_pruned_before_the_warmup_is_over() -> None:
    assert not judged([0.0, 0.0, 0.0]).stop
    assert judged([0.0, 0.0, 0.0, 0.0]).stop


def test_flat_curve_below_the_threshold_is_pruned_with_a_forecast() -> None:
    verdict = judged([0.1, 0.1001, 0.1, 0.1001, 0.1])
    assert verdict.stop
    assert "misses ssim_uv >= 0.3" in verdict.reason
    assert verdict.forecast is not None
    assert verdict.forecast["ssim_uv"] == pytest.approx(0.1, abs=0.01)


def test_rising_curve_is_not_pruned() -> None:
    assert not judged([0.05, 0.10, 0.14, 0.17, 0.20]).stop


@given(st.lists(metric, min_size=1, max_size=19), st.integers(0, 18))
def test_run_that_passed_once_is_never_pruned(values: list[float], where: int) -> None:
    values[where % len(values)] = 0.31
    assert not judged(values).stop


@given(st.lists(metric, min_size=4, max_size=19), st.floats(0, 2), st.floats(0, 2))
def test_more_allowance_never_prunes_more(values: list[float], one: float, other: float) -> None:
    small, large = sorted((one, other))
    strict = judged(values, Pruning(warmup_epochs=4, allowance=small)).stop
    lenient = judged(values, Pruning(warmup_epochs=4, allowance=large)).stop
    assert strict or not lenient
