"""The sweep's pure rooms: space, promotion, forecast, pruning, budget."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweep.decisions.budget import Budget, Measured, fits, predict
from sweep.decisions.forecast import LEAST, forecast
from sweep.decisions.promotion import constraints, decide, not_numbers
from sweep.decisions.pruning import judge
from sweep.study import space
from sweep.study.config import NamedSchedule, Pruning
from uvtex.config import TERMS
from uvtex.thresholds import Threshold
from uvtex.training.schedule import weights

weight = st.floats(0, 1, allow_subnormal=False)
param_sets = st.fixed_dictionaries(
    {f"{term}_{end}": weight for term in TERMS if term != "direct" for end in ("start", "end")}
    | {f"direct_{end}": st.floats(0.05, 1) for end in ("start", "end")}
    | {"lr_scheduler": st.sampled_from(["none", "cosine"]), "tmax": st.floats(0.5, 2)}
)
metric = st.floats(-1, 1)
thresholds = (
    Threshold(metric="ssim_uv", at_least=0.3),
    Threshold(metric="lpips_view", at_most=0.5),
)


# -- space


@given(param_sets)
def test_params_of_a_named_schedule_read_back_equal(params: dict[str, Any]) -> None:
    assert space.params(space.named(params)) == params


@given(param_sets, st.integers(1, 200))
def test_schedule_keeps_both_ends_and_scales_t_max(params: dict[str, Any], epochs: int) -> None:
    schedule = space.schedule(params, epochs)
    for term in TERMS:
        assert weights(schedule, 1, epochs)[term] == pytest.approx(params[f"{term}_start"])
        if epochs > 1:
            last = weights(schedule, epochs, epochs)[term]
            assert last == pytest.approx(params[f"{term}_end"], abs=1e-12)
    if params["lr_scheduler"] == "none":
        assert schedule.lr_scheduler_tmax is None
    else:
        tmax = schedule.lr_scheduler_tmax
        assert tmax is not None
        assert tmax == 1 or abs(tmax - params["tmax"] * epochs) <= 0.5


def test_baseline_of_the_original_is_the_default_schedule() -> None:
    params = space.params(NamedSchedule())
    assert space.schedule(params, 40) == space.schedule(params, 20)
    assert weights(space.schedule(params, 40), 7, 40) == {
        "cycle": 0.30,
        "uv": 0.25,
        "direct": 0.30,
        "cross": 0.15,
    }


# -- promotion


@given(metric, metric)
def test_decision_passes_exactly_when_every_threshold_is_met(ssim: float, lpips: float) -> None:
    decision = decide({"ssim_uv": ssim, "lpips_view": lpips}, thresholds)
    assert decision.passed == (ssim >= 0.3 and lpips <= 0.5)
    assert decision.passed == (decision.margin >= 0)


def test_reason_names_the_threshold_that_is_missed_by_the_most() -> None:
    reason = decide({"ssim_uv": 0.29, "lpips_view": 0.9}, thresholds).reason
    assert reason == "lpips_view 0.9 misses lpips_view <= 0.5 by the most"


@pytest.mark.parametrize(
    ("figure", "told"),
    [(0.50704, "0.507"), (0.507996, "0.507996"), (0.5079999999, "0.5079999999")],
)
def test_a_near_miss_is_printed_with_enough_digits(figure: float, told: str) -> None:
    reason = decide({"ssim_uv": figure}, [Threshold(metric="ssim_uv", at_least=0.508)]).reason
    assert reason == f"ssim_uv {told} misses ssim_uv >= 0.508 by the most"


@given(metric, metric)
def test_constraints_are_feasible_exactly_when_the_other_thresholds_are_met(
    ssim: float, lpips: float
) -> None:
    values = constraints({"ssim_uv": ssim, "lpips_view": lpips}, thresholds)
    assert list(values) == ["lpips_view <= 0.5"]
    assert (values["lpips_view <= 0.5"] <= 0) == (lpips <= 0.5)


def test_nan_is_listed_as_not_a_number() -> None:
    assert not_numbers({"ssim_uv": math.nan, "lpips_view": 0.2}, thresholds) == ["ssim_uv"]


# -- forecast

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


# -- pruning

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


# -- budget

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


def test_prediction_includes_the_overhead_of_a_run() -> None:
    assert predict(Measured([2.0], overheads=[5.0, 3.0]), 10) == 25.0
