"""How a study ends: early without hope, by device-hours, or after a second look at near misses."""

from __future__ import annotations

from pathlib import Path

import pytest

from sweep.driving.display import ProgressDisplay
from sweep.driving.driver import Driver
from sweep.driving.due_runs import near_miss
from sweep.driving.spending import Spending
from sweep.study.calibration import (
    Calibration,
    MetricNoise,
    RunFigures,
    Spread,
    StageCalibration,
    write_calibration,
)
from sweep.study.config import StudyConfig
from sweep.study.folder import records
from tests.sweep.fakes import InlineLauncher, NoMirror, study


class Told(ProgressDisplay):
    def __init__(self) -> None:
        self.notes: list[str] = []
        self.costs: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)

    def cost(self, cost: object) -> None:
        self.costs.append(str(cost))


def drive(config: StudyConfig, slots: int = 1) -> tuple[Driver, str, Told]:
    told = Told()
    driver = Driver(config, InlineLauncher(slots), NoMirror(config), told)
    return driver, driver.run(), told


def calibrated(config: StudyConfig, deviation: float) -> None:
    """A calibration that says how far seeds spread, and nothing else."""
    noise = {"ssim_uv": MetricNoise(seeds=Spread(deviation=deviation, degrees=6))}
    stage = StageCalibration(means={}, noise=noise, seconds=0.01, epochs=6)
    run = RunFigures(schedule="baseline", seed=0, stage="probe", metrics={}, seconds=7.0, epochs=6)
    write_calibration(
        config.paths, Calibration(runs=(run,), stages={"probe": stage, "full": stage})
    )


def test_a_study_without_hope_ends_early_and_says_with_what_probability(tmp_path: Path) -> None:
    config = study(
        tmp_path,
        trials=60,
        stages={"probe": 2, "full": 2},
        thresholds=[{"metric": "ssim_uv", "at_least": 3.0}],
    )
    driver, outcome, told = drive(config)
    assert outcome == "ended early"
    assert 20 <= len(records(config.paths.folder)) < 60
    assert driver.ending is not None
    assert driver.ending in told.notes
    assert told.notes.count(driver.ending) == 1
    assert "probes passed" in driver.ending
    assert "the study ends early" in driver.ending


def test_a_study_in_which_something_passed_does_not_end_early(tmp_path: Path) -> None:
    driver, outcome, _ = drive(study(tmp_path, trials=24, stages={"probe": 6, "full": 6}))
    assert (outcome, driver.ending) == ("done", None)


@pytest.mark.parametrize("slots", [1, 2])
def test_device_hours_are_the_sum_over_slots(tmp_path: Path, slots: int) -> None:
    class Clock:
        now = 0.0

        def __call__(self) -> float:
            self.now += 2.0
            return self.now

    config = study(tmp_path, device_hours=60 / 3600)
    driver = Driver(
        config, InlineLauncher(slots), NoMirror(config), ProgressDisplay(), clock=Clock()
    )
    assert driver.run() == "out of time"
    assert 0 < len(records(config.paths.folder)) < 5


def test_before_the_start_the_cost_is_forecast_from_the_calibration(tmp_path: Path) -> None:
    config = study(tmp_path, pruning={"enabled": False})
    assert Spending(config, lambda: 0.0).forecast({}, devices=1) is None
    calibrated(config, 0.01)
    found = Spending(config, lambda: 0.0).forecast({}, devices=1)
    assert found is not None
    least = 5 * 6 * 7.0 / 3600  # five probes of six epochs of seven seconds
    assert found.device_hours.low < 1.2 * least
    assert found.device_hours.high > least


def test_while_it_runs_the_cost_falls_to_nothing(tmp_path: Path) -> None:
    _, _, told = drive(study(tmp_path, trials=3))
    assert told.costs[0] == "None"
    assert told.costs[-1].startswith("0 (0 to 0) hours")


def test_a_near_miss_gets_a_second_look_after_all_probes(tmp_path: Path) -> None:
    """``baseline`` and ``bad`` are far away; ``good`` misses by less than a standard deviation."""
    config = study(
        tmp_path,
        trials=3,
        replicates=3,
        thresholds=[{"metric": "ssim_uv", "at_least": 0.79}],
    )
    calibrated(config, 0.02)
    _, outcome, told = drive(config)
    found = records(config.paths.folder)
    assert outcome == "done"
    assert [(r.schedule, r.stage) for r in found if r.second_look] == [("good", "probe")]
    assert {r.schedule for r in found if r.stage == "full"} == {"good"}
    assert "0001/probe (good): no trial was admitted, and this one nearly passed" in told.notes
    assert near_miss(config, {r.key: r for r in found}) is None


def test_without_replicates_a_near_miss_gets_no_second_look(tmp_path: Path) -> None:
    config = study(tmp_path, trials=3, thresholds=[{"metric": "ssim_uv", "at_least": 0.79}])
    calibrated(config, 0.02)
    drive(config)
    assert all(r.stage == "probe" for r in records(config.paths.folder))
