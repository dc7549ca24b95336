"""The time budget of a study."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sweep.decisions.budget import Budget, Measured, fits, predict

seconds = st.floats(0.01, 1e4)


@given(st.lists(seconds, min_size=1, max_size=80), st.integers(1, 100))
def test_prediction_lies_between_the_fastest_and_the_slowest_epoch(
    measured: list[float], epochs: int
) -> None:
    predicted = predict(Measured(measured), epochs)
    assert predicted is not None
    assert min(measured) * epochs <= predicted * (1 + 1e-12)
    assert predicted <= max(measured) * epochs * (1 + 1e-12)


@given(seconds, seconds, seconds)
def test_run_fits_exactly_when_it_would_end_in_time(total: float, gone: float, run: float) -> None:
    budget = Budget(total, started=100.0)
    now = 100.0 + gone
    left = budget.left(now)
    assert left is not None
    assert fits(budget, now, run, running=1) == (run <= left)


def test_without_a_measurement_one_run_may_start() -> None:
    budget = Budget(60, started=0)
    assert fits(budget, 10, None, running=0)
    assert not fits(budget, 10, None, running=1)
    assert not fits(budget, 61, None, running=0)


def test_without_a_limit_everything_fits() -> None:
    assert fits(Budget(None, 0), 1e9, 1e9, running=7)
    assert fits(Budget(None, 0), 1e9, None, running=7)


@given(seconds, seconds, seconds, seconds)
def test_run_fits_the_device_hours_exactly_when_all_runs_together_do(
    limit: float, used: float, committed: float, run: float
) -> None:
    budget = Budget(None, started=0.0, device_seconds=limit)
    left = max(0.0, limit - used - committed)
    assert fits(budget, 1e9, run, 1, used, committed) == (run <= left)


def test_both_limits_hold() -> None:
    budget = Budget(100, started=0, device_seconds=50)
    assert fits(budget, 0, 40, running=1)
    assert not fits(budget, 0, 60, running=1)
    assert not fits(budget, 70, 40, running=1)
    assert not fits(budget, 0, None, running=0, used=50)


def test_prediction_includes_the_overhead_of_a_run() -> None:
    assert predict(Measured([2.0], overheads=[5.0, 3.0]), 10) == 25.0
