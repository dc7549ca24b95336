"""Calibration: the noise of metrics from named schedules over seeds, and what it says."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.replicates import Scenario, calibration_of
from sweep.decisions.calibration import calibrate
from sweep.decisions.calibration_verdict import (
    POWER,
    CalibrationVerdict,
    detectable_distance,
    judge_calibration,
)
from sweep.decisions.group_sequential import admission_probability
from sweep.study.calibration import Calibration, RunFigures
from sweep.study.folder import Stage
from uvtex.thresholds import Threshold

METRICS = ("ssim_uv", "lpips_view")
figure = st.floats(-1, 1)


def run(
    schedule: str, seed: int, ssim: float, lpips: float = 0.5, stage: Stage = "full", **more: object
) -> RunFigures:
    values = {"ssim_uv": ssim, "lpips_view": lpips}
    return RunFigures.model_validate(
        {"schedule": schedule, "seed": seed, "stage": stage, "metrics": values}
        | {"seconds": 2.0, "epochs": 10}
        | more
    )


def drawn(
    schedules: int, seeds: int, rho: float, seed: int, between: float = 0.0, noise: float = 0.01
) -> list[RunFigures]:
    """Runs with known noise: a seed's part ``rho`` is shared by all schedules."""
    rng = np.random.default_rng(seed)
    shared = rng.standard_normal(seeds)
    own = rng.standard_normal((schedules, seeds))
    means = 0.5 + between * rng.standard_normal(schedules)
    figures = means[:, None] + noise * (np.sqrt(rho) * shared + np.sqrt(1 - rho) * own)
    return [run(f"schedule-{i}", j, figures[i, j]) for i in range(schedules) for j in range(seeds)]


def test_deviation_over_seeds_is_pooled_over_schedules() -> None:
    runs = [run("a", 0, 0.1), run("a", 1, 0.3), run("b", 0, 0.5), run("b", 1, 0.5)]
    runs.append(run("b", 2, 0.8))
    noise = calibrate(runs, METRICS).stages["full"].noise["ssim_uv"]
    # squares: 2 x 0.1^2 around 0.2, and 2 x 0.1^2 + 0.2^2 around 0.6, over 1 + 2 degrees
    assert noise.seeds.degrees == 3
    assert noise.seeds.deviation == pytest.approx(np.sqrt(0.08 / 3))


def test_each_stage_has_figures_of_its_own() -> None:
    runs = [run("a", seed, 0.1 * seed, stage="probe") for seed in range(3)]
    runs += [run("a", seed, 0.5, stage="full") for seed in range(3)]
    found = calibrate(runs, METRICS)
    assert found.stages["probe"].means["a"]["ssim_uv"] == pytest.approx(0.1)
    assert found.stages["full"].means["a"]["ssim_uv"] == pytest.approx(0.5)
    assert found.spreads("full")["ssim_uv"].deviation == 0
    assert found.cost == pytest.approx(6 * 20)


def test_calibration_of_one_seed_is_refused() -> None:
    with pytest.raises(ValueError, match="two seeds"):
        calibrate([run("a", 0, 0.1), run("b", 0, 0.2)], METRICS)


def test_metric_that_one_run_lacks_is_left_out() -> None:
    runs = [run("a", 0, 0.1), run("a", 1, 0.2)]
    lacking = runs[0].model_copy(update={"metrics": {"ssim_uv": 0.1}})
    assert list(calibrate([lacking, runs[1]], METRICS).stages["full"].noise) == ["ssim_uv"]


@pytest.mark.parametrize("rho", [0.0, 0.5, 0.9])
def test_deviation_of_pairs_is_that_of_differences_by_seed(rho: float) -> None:
    noise = calibrate(drawn(40, 30, rho, seed=1), METRICS).stages["full"].noise["ssim_uv"]
    assert noise.pairs is not None
    assert noise.pairs.degrees == 39 * 29
    assert noise.pairs.deviation == pytest.approx(0.01 * np.sqrt(2 * (1 - rho)), rel=0.08)
    # the seeds' shared part is estimated from thirty draws only
    assert noise.correlation == pytest.approx(rho, abs=0.25)


def test_noise_that_the_benchmark_draws_is_distributed_as_that_of_a_calibration() -> None:
    rng = np.random.default_rng(0)
    scenario = Scenario((0.0, 0.0), rho=0.6, schedules=3, seeds=3)
    drawn_noise = [calibration_of(scenario, rng)["ssim_uv"] for _ in range(300)]
    measured = [
        calibrate(drawn(3, 3, 0.6, seed, noise=1.0), METRICS).stages["full"].noise["ssim_uv"]
        for seed in range(300)
    ]
    for noise in (drawn_noise, measured):
        assert noise[0].seeds.degrees == 6
        assert np.mean([n.seeds.deviation**2 for n in noise]) == pytest.approx(1, abs=0.15)
        pairs = [n.pairs.deviation**2 for n in noise if n.pairs]
        assert np.mean(pairs) == pytest.approx(2 * (1 - 0.6), abs=0.12)
    spread = [np.std([n.seeds.deviation for n in noise]) for noise in (drawn_noise, measured)]
    assert spread[0] == pytest.approx(spread[1], rel=0.2)


def test_correlation_over_seeds_is_not_that_over_schedules() -> None:
    # Within a schedule the metrics rise together, over schedules one falls as the other rises.
    runs = [
        run(f"s{i}", j, 0.1 * i + 0.01 * j, -0.1 * i + 0.02 * j) for i in range(4) for j in range(3)
    ]
    found = calibrate(runs, METRICS).stages["full"]
    assert found.over_seeds["ssim_uv, lpips_view"] == pytest.approx(1)
    assert found.over_schedules["ssim_uv, lpips_view"] == pytest.approx(-1)


def test_two_schedules_have_no_correlation_over_schedules() -> None:
    assert calibrate(drawn(2, 3, 0, 1), METRICS).stages["full"].over_schedules == {}


def test_deviation_over_liveries_is_taken_within_runs() -> None:
    liveries = {"x": {"ssim_uv": 0.1}, "y": {"ssim_uv": 0.3}}
    runs = [run("a", seed, 0.2 + seed, liveries=liveries) for seed in range(2)]
    noise = calibrate(runs, METRICS).stages["full"].noise["ssim_uv"]
    assert noise.liveries == pytest.approx(np.sqrt(0.02))
    assert calibrate(drawn(2, 2, 0, 1), METRICS).stages["full"].noise["ssim_uv"].liveries is None


@given(st.lists(figure, min_size=4, max_size=4), st.floats(-10, 10), st.floats(0.1, 10))
def test_shifting_and_scaling_a_metric_shifts_and_scales_its_figures(
    values: list[float], shift: float, scale: float
) -> None:
    names = [("a", 0), ("a", 1), ("b", 0), ("b", 1)]
    before, after = (
        calibrate([run(*name, v) for name, v in zip(names, figures, strict=True)], METRICS)
        for figures in (values, [shift + scale * v for v in values])
    )
    one, other = (
        found.stages["full"].noise["ssim_uv"].seeds.deviation for found in (before, after)
    )
    assert other == pytest.approx(scale * one, abs=1e-9)


def test_calibration_reads_back_equal() -> None:
    found = calibrate(drawn(3, 3, 0.2, 1), METRICS, failed=["a, seed 9: died"])
    assert Calibration.model_validate_json(found.model_dump_json()) == found


def judged(bound: float, replicates: int = 5, **changes: float) -> CalibrationVerdict:
    found = calibrate(drawn(6, 4, 0, 2, **changes), METRICS)  # type: ignore[arg-type]
    return judge_calibration(found, [Threshold(metric="ssim_uv", at_least=bound)], replicates)


def test_threshold_far_below_the_best_schedule_can_be_told_from_noise() -> None:
    verdict = judged(0.45)
    assert verdict.told_apart
    assert verdict.needed == 1
    assert "can be told from noise" in verdict.reason


def test_threshold_within_the_noise_needs_more_replicates_than_allowed() -> None:
    found = calibrate(drawn(6, 4, 0, 2), METRICS)
    best = max(means["ssim_uv"] for means in found.stages["full"].means.values())
    deviation = found.spreads("full")["ssim_uv"].deviation
    verdict = judged(best - 0.5 * deviation)
    assert not verdict.told_apart
    assert verdict.best.nearest[1] == pytest.approx(0.5)
    assert verdict.needed == 25  # ((1.645 + 0.842) / 0.5)^2 = 24.7
    assert "about 25 replicates" in verdict.reason


@pytest.mark.parametrize(("seeds", "told"), [(2, "(1 degree of"), (3, "(2 degrees of")])
def test_degrees_of_freedom_are_counted_in_plain_english(seeds: int, told: str) -> None:
    found = calibrate(drawn(1, seeds, 0, 2), METRICS)
    threshold = Threshold(metric="ssim_uv", at_least=0.45)
    assert told in judge_calibration(found, [threshold], 5).reason


def test_threshold_above_every_schedule_is_said_to_be_missed() -> None:
    verdict = judged(0.6)
    assert (verdict.told_apart, verdict.needed) == (False, None)
    assert "No named schedule passes" in verdict.reason


def test_schedules_that_differ_no_more_than_seeds_are_said_to() -> None:
    assert "no more than seeds do" in judged(0.45).reason
    assert "more than seeds do" in judged(0.45, between=0.1).reason


@pytest.mark.parametrize(("replicates", "degrees"), [(1, 2), (5, 12), (8, 30)])
def test_detectable_distance_is_admitted_with_the_power_asked(
    replicates: int, degrees: int
) -> None:
    distance = detectable_distance(replicates, degrees)
    assert admission_probability(distance, replicates, degrees) == pytest.approx(POWER, abs=1e-3)
