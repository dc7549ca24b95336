"""The calibration of a study, with made-up curves and without processes."""

from __future__ import annotations

import itertools
import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from sweep.driving.calibration.calibrator import Calibrator
from sweep.driving.calibration.runs import needed, planned
from sweep.driving.spending import SPENT, Spending
from sweep.launchers.base import Event
from sweep.study.calibration import Calibration, read_calibration
from sweep.study.config import StudyConfig
from tests.sweep.fakes import InlineLauncher, study
from uvtex.errors import ConfigError, UvtexError
from uvtex.files import write_atomic
from uvtex.runs.epochs import read_epochs
from uvtex.runs.folder import RunFolder
from uvtex.settings import dump_yaml

NAMES = ["baseline", "good"]


def calibrated(
    config: StudyConfig,
    launcher: InlineLauncher,
    names: list[str] = NAMES,
    seeds: int = 3,
    said: list[str] | None = None,
) -> Calibration | None:
    runs = planned(config, names, seeds)
    return Calibrator(config, runs, launcher, (said if said is not None else []).append).run()


def test_every_schedule_runs_under_every_seed_at_both_stages(tmp_path: Path) -> None:
    config, launcher, said = study(tmp_path), InlineLauncher(slots=2), list[str]()
    found = calibrated(config, launcher, said=said)
    assert found is not None
    assert len(launcher.jobs) == len(said) == 2 * 3 * 2
    full = found.stages["full"]
    assert list(full.means) == NAMES
    # 0.9 (1 - exp(-8/3)) and a scatter of at most 0.01
    assert full.means["good"]["ssim_uv"] == pytest.approx(0.84, abs=0.01)
    assert found.stages["probe"].means["good"]["ssim_uv"] < full.means["good"]["ssim_uv"]
    noise = full.noise["ssim_uv"]
    assert noise.seeds.degrees == 4
    assert 0.001 < noise.seeds.deviation < 0.01
    assert noise.pairs is not None
    assert noise.pairs.deviation == pytest.approx(0, abs=1e-12)  # the seed's part is shared
    assert config.paths.calibration_dir("good", 2, "full").is_dir()
    assert read_calibration(config.paths) == found


def test_second_call_runs_only_what_is_missing(tmp_path: Path) -> None:
    config = study(tmp_path)
    calibrated(config, InlineLauncher(), seeds=2)
    more = InlineLauncher()
    found = calibrated(config, more, ["good"], seeds=3)
    assert [job.run_dir for job in more.jobs] == [
        str(config.paths.calibration_dir("good", 2, stage)) for stage in ("probe", "full")
    ]
    assert found is not None
    assert found.schedules == ("good", "baseline")
    assert found.stages["full"].noise["ssim_uv"].seeds.degrees == 3
    assert calibrated(config, InlineLauncher(), ["good"], seeds=3) == found


class Interrupting(InlineLauncher):
    """Presses Ctrl-C during the first epoch after so many."""

    def __init__(self, epochs: int) -> None:
        super().__init__()
        self._left = epochs

    def wait(self, timeout: float) -> list[Event]:
        events = super().wait(timeout)
        self._left -= 1
        if self._left == 0:
            os.kill(os.getpid(), signal.SIGINT)
        return events


def test_ctrl_c_stops_after_the_epoch_and_the_next_call_goes_on(tmp_path: Path) -> None:
    config = study(tmp_path)
    stopped = Interrupting(epochs=10)
    assert calibrated(config, stopped) is None
    assert not config.paths.calibration.exists()
    partly = len(read_epochs(Path(stopped.jobs[-1].run_dir)))
    assert 0 < partly < 8
    resumed = InlineLauncher()
    assert calibrated(config, resumed) is not None
    assert resumed.jobs[0].run_dir == stopped.jobs[-1].run_dir
    assert resumed.jobs[0].resume


def test_failed_run_is_left_out_and_named(tmp_path: Path) -> None:
    config, said = study(tmp_path), list[str]()
    folder = config.paths.folder / "calibration"
    folder.mkdir(parents=True)
    (folder / "faults.json").write_text('{"raise": {"1/full": 3}}')
    found = calibrated(config, InlineLauncher(), said=said)
    assert found is not None
    assert [line.split(":")[0] for line in found.failed] == [
        "baseline, seed 1, full",
        "good, seed 1, full",
    ]
    assert found.stages["full"].noise["ssim_uv"].seeds.degrees == 2
    assert found.stages["probe"].noise["ssim_uv"].seeds.degrees == 4
    assert any("failed: ValueError" in line for line in said)


def test_epoch_that_is_no_number_is_not_the_one_that_counts(tmp_path: Path) -> None:
    config = study(tmp_path)
    folder = config.paths.folder / "calibration"
    folder.mkdir(parents=True)
    (folder / "faults.json").write_text('{"nan": {"1/probe": 6}}')
    found = calibrated(config, InlineLauncher())
    assert found is not None
    assert found.stages["probe"].noise["ssim_uv"].seeds.degrees == 4


def test_run_without_the_figure_of_a_threshold_is_left_out_and_named(tmp_path: Path) -> None:
    config = study(tmp_path)
    calibrated(config, InlineLauncher())
    test = RunFolder(config.paths.calibration_dir("good", 2, "full")).test
    values = json.loads(test.read_text())
    values["metrics"]["ssim_uv"] = float("nan")
    test.write_text(json.dumps(values))
    found = calibrated(config, InlineLauncher())
    assert found is not None
    assert found.failed == ("good, seed 2, full: has no figure for ssim_uv",)
    assert found.stages["full"].noise["ssim_uv"].seeds.degrees == 3


def test_full_runs_count_by_their_test_side_and_probes_by_validation(tmp_path: Path) -> None:
    found = calibrated(study(tmp_path), InlineLauncher(), seeds=2)
    assert found is not None
    for run in found.runs:
        assert bool(run.liveries) == (run.stage == "full")
    noise = found.stages["full"].noise["ssim_uv"]
    assert noise.liveries == pytest.approx(0.1 * 2**0.5)  # 0.1 above and below the mean
    assert found.stages["probe"].noise["ssim_uv"].liveries is None


def test_run_that_died_before_its_test_side_is_measured_by_the_next_call(tmp_path: Path) -> None:
    config = study(tmp_path)
    calibrated(config, InlineLauncher(), seeds=2)
    lost = config.paths.calibration_dir("good", 1, "full")
    RunFolder(lost).test.unlink()
    again = InlineLauncher()
    calibrated(config, again, seeds=2)
    assert [job.run_dir for job in again.jobs] == [str(lost)]
    assert RunFolder(lost).test.is_file()


def test_calibration_stops_when_nothing_runs_at_all(tmp_path: Path) -> None:
    config = study(tmp_path)
    folder = config.paths.folder / "calibration"
    folder.mkdir(parents=True)
    faults = ", ".join(f'"{seed}/{stage}": 1' for seed in range(3) for stage in ("probe", "full"))
    (folder / "faults.json").write_text(f'{{"raise": {{{faults}}}}}')
    launcher = InlineLauncher()
    with pytest.raises(UvtexError, match="3 runs in a row failed"):
        calibrated(config, launcher)
    assert len(launcher.jobs) == 3


@pytest.mark.parametrize(
    ("names", "seeds", "says"),
    [
        (["nobody"], 3, "'nobody' not in search.queue; known: baseline, good, bad"),
        (["good"], 1, "at least 2, got 1"),
    ],
)
def test_impossible_plan_is_refused(
    tmp_path: Path, names: list[str], seeds: int, says: str
) -> None:
    with pytest.raises(ConfigError, match=says):
        planned(study(tmp_path), names, seeds)


def test_study_that_queues_nothing_still_knows_the_baseline(tmp_path: Path) -> None:
    config = study(tmp_path, search={"queue": []})
    assert [run.schedule for run in planned(config, ["baseline"], 2)] == ["baseline"] * 4


def test_run_of_other_settings_is_refused_and_named(tmp_path: Path) -> None:
    calibrated(study(tmp_path), InlineLauncher(), seeds=2)
    run = planned(study(tmp_path), NAMES, 2)[0]
    write_atomic(RunFolder(run.run_dir).settings, dump_yaml(run.config).encode())
    changed = study(tmp_path, train={"image_size": 64, "device": "cpu"})
    with pytest.raises(ConfigError, match="image_size: 32 -> 64"):
        calibrated(changed, InlineLauncher(), seeds=2)


def test_thresholds_may_change_between_two_calls(tmp_path: Path) -> None:
    calibrated(study(tmp_path), InlineLauncher(), seeds=2)
    run = planned(study(tmp_path), NAMES, 2)[0]
    write_atomic(RunFolder(run.run_dir).settings, dump_yaml(run.config).encode())
    other: list[dict[str, Any]] = [{"metric": "ssim_uv", "above": "baseline", "by": 2}]
    again = InlineLauncher()
    assert calibrated(study(tmp_path, thresholds=other), again, seeds=2) is not None
    assert again.jobs == []


def test_a_threshold_on_a_metric_that_was_not_measured_makes_the_calibration_anew(
    tmp_path: Path,
) -> None:
    """As when LPIPS is added to a study that was calibrated without it."""
    asked: list[dict[str, Any]] = [{"metric": "ssim_uv", "at_least": 0.5}]
    before = study(tmp_path, thresholds=asked, replicates=3)
    calibrated(before, InlineLauncher(), seeds=2)
    assert not needed(before)
    metric = "haarpsi_view"
    for run in planned(before, NAMES, 2):
        path = RunFolder(run.run_dir).epochs
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        for line in lines:
            del line["val"][metric]
        path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    found = json.loads(before.paths.calibration.read_text())
    for stage in found["stages"].values():
        del stage["noise"][metric]
    before.paths.calibration.write_text(json.dumps(found))
    after = study(tmp_path, thresholds=[*asked, {"metric": metric, "at_least": 0.1}], replicates=3)
    assert needed(after)
    said: list[str] = []
    runs = planned(after, ["baseline"], 2)  # the other schedule's runs are left out
    again = InlineLauncher()
    found_again = Calibrator(after, runs, again, said.append).run()
    assert said[0] == f"baseline, seed 0, probe: did not measure {metric}; it is made again"
    assert found_again is not None
    assert len(again.jobs) == len(runs) == 4
    assert found_again.schedules == ("baseline",)
    assert not needed(after)


@pytest.mark.parametrize("name", ["../up", "a/b", "con", "direct ⅓", "."])
def test_every_schedule_name_has_a_folder_inside_the_calibration(tmp_path: Path, name: str) -> None:
    paths = study(tmp_path).paths
    folder = paths.calibration_dir(name, 0, "probe")
    assert folder.parents[2] == paths.folder / "calibration"
    assert folder.parent.parent.name.startswith("schedule-")


def test_what_a_call_spends_on_its_calibration_counts_if_it_is_killed(tmp_path: Path) -> None:
    """Each look at the clock takes a second here."""
    config = study(tmp_path, device_hours=1.0)
    config.paths.folder.mkdir(parents=True)
    seconds = itertools.count(1000.0)

    def clock() -> float:
        return next(seconds)

    def end(line: str) -> None:
        raise RuntimeError("killed after the first run")

    spending, runs = Spending(config, clock), planned(config, NAMES, 2)
    with pytest.raises(RuntimeError, match="killed"):
        Calibrator(config, runs, InlineLauncher(), end, clock, spending).run()
    used = json.loads((config.paths.folder / SPENT).read_text())["device_seconds"]
    assert used > sum(run.config.epochs for run in runs if run.done)
    told: list[str] = []
    following = Spending(config, clock)
    following.take_over(told.append)
    following.take_over(told.append)
    assert len(told) == 1
    following.epoch_seconds.extend([(3600 - used) / 10] * 10)
    assert following.fits(10, [])
    assert not following.fits(11, [])
