"""A clock that is set changes no budget, no duration and no order of events."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mlflow import MlflowClient

from sweep.decisions.budget import Budget
from sweep.driving.active_run import ActiveRun
from sweep.driving.display import ProgressDisplay
from sweep.driving.driver import Driver
from sweep.study.config import StudyConfig
from sweep.study.folder import TrialRecord, records
from sweep.tracking.tracker import Tracker
from tests.sweep.fakes import InlineLauncher, NoMirror, inject_faults, study, study_file
from tests.sweep.made_study import empty_store
from uvtex.config import TrainConfig
from uvtex.progress import Eta
from uvtex.runs.epochs import EpochReport, write_epochs

ROOT = Path(__file__).parents[2]
HOUR = 3600.0


class Clocks:
    """A monotonic clock with so many seconds a look, and a wall clock that is set once."""

    def __init__(self, step: float, jump: float, after: int) -> None:
        self.elapsed, self.step, self.jump, self.after, self.looks = 0.0, step, jump, after, 0

    def monotonic(self) -> float:
        self.elapsed += self.step
        return self.elapsed

    def wall(self) -> float:
        self.looks += 1
        return 1.7e9 + self.elapsed + (self.jump if self.looks > self.after else 0.0)


def drive(config: StudyConfig, clocks: Clocks) -> str:
    driver = Driver(
        config, InlineLauncher(), NoMirror(config), ProgressDisplay(),
        clock=clocks.monotonic, wall=clocks.wall,
    )  # fmt: skip
    return driver.run()


def outcome(folder: Path, jump: float) -> tuple[str, list[TrialRecord]]:
    config = study(folder, hours=0.01, trials=12)  # 36 s
    return drive(config, Clocks(2.0, jump, after=3)), records(config.paths.folder)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[int, str, str]]:
    """The runs of a study whose clock is left alone."""
    said, made = outcome(tmp_path_factory.mktemp("undisturbed"), jump=0.0)
    assert said == "out of time"
    assert 0 < len(made) < 12
    return [(r.trial, r.stage, r.state) for r in made]


@pytest.mark.parametrize("jump", [-HOUR, HOUR])
def test_a_clock_that_is_set_leaves_the_budget_as_it_was_and_no_run_ends_before_it_starts(
    jump: float, tmp_path: Path, undisturbed: list[tuple[int, str, str]]
) -> None:
    said, made = outcome(tmp_path, jump)
    assert said == "out of time"
    assert [(r.trial, r.stage, r.state) for r in made] == undisturbed
    for record in made:
        assert record.started is not None
        assert record.ended is not None
        assert record.started <= record.ended


def test_records_show_the_wall_clock(tmp_path: Path) -> None:
    config = study(tmp_path, trials=1)
    before = time.time()
    driver = Driver(config, InlineLauncher(), NoMirror(config), ProgressDisplay())
    assert driver.run() == "done"
    (record,) = records(config.paths.folder)
    assert before <= float(record.started or 0) <= float(record.ended or 0) <= time.time()


@given(st.floats(0, 1e7), st.lists(st.floats(0, 1e5), max_size=8), st.floats(0.1, 1e6))
def test_the_time_left_never_grows_and_never_is_below_zero(
    began: float, steps: list[float], seconds: float
) -> None:
    budget, now = Budget(seconds, began), began
    left = [budget.left(now := now + step) for step in steps]
    known = [value for value in left if value is not None]
    assert len(known) == len(left)
    assert known == sorted(known, reverse=True)
    assert all(0 <= value <= seconds for value in known)


@given(st.floats(-1e12, 1e12), st.floats(0, 1e12))
def test_the_end_that_a_record_shows_is_never_before_its_start(now: float, started: float) -> None:
    record = TrialRecord(trial=0, stage="probe", schedule="s", params={}, epochs=1, started=started)
    run = ActiveRun(record, Path(), TrainConfig(), {})
    assert run.end_time(now) >= started
    if now >= started:
        assert run.end_time(now) == now


@pytest.mark.parametrize(
    "use", [lambda: Eta().elapsed, lambda: Budget(None, time.monotonic()).left(0.0) or 0.0]
)
def test_durations_do_not_ask_the_wall_clock(
    use: Callable[[], float], monkeypatch: pytest.MonkeyPatch
) -> None:
    def never() -> float:
        raise AssertionError("asked for the time of day")

    monkeypatch.setattr(time, "time", never)
    assert 0 <= use() < 1


def test_mlflow_shows_no_run_that_ends_before_it_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uri = empty_store(tmp_path)
    config = study(tmp_path, tracking_uri=uri)
    run_dir = config.paths.run_dir(0, "probe")
    now = time.time()
    # A record of an earlier version, and a study that ends after the clock was set back.
    values: dict[str, Any] = {"trial": 0, "stage": "probe", "schedule": "s", "params": {}}
    record = TrialRecord(**values, epochs=1, started=now, ended=now - HOUR, state="complete")
    report = EpochReport(1, {}, 1e-4, {}, {"margin": 0.1}, 1.0, 8, True)
    run_dir.mkdir(parents=True)
    write_epochs(run_dir, [report])
    tracker = Tracker(uri, tmp_path / "artifacts", "s")
    study_run = tracker.study_started(config)
    trial_run = tracker.show(record, run_dir, TrainConfig())
    cut_off = record.model_copy(update={"trial": 1, "state": "interrupted", "ended": None})
    monkeypatch.setattr("sweep.tracking.tracker.time.time", lambda: now - HOUR)
    other_run = tracker.show(cut_off, config.paths.run_dir(1, "probe"), TrainConfig())
    tracker.study_ended(None, ended=now - HOUR)
    client = MlflowClient(uri)
    for run_id in (study_run, other_run, trial_run):
        info = client.get_run(run_id).info
        assert info.end_time >= info.start_time
    (logged,) = client.get_metric_history(trial_run, "val/margin")
    assert logged.timestamp >= info.start_time
    tracker.close()


def test_a_real_study_ends_in_time_though_the_clock_is_set_back(tmp_path: Path) -> None:
    """6 s of budget, 200 probes of a third of a second, and a clock that is set in the first."""
    changes: dict[str, Any] = {"hours": 6 / HOUR, "trials": 200, "pruning": {"enabled": False}}
    config = study(tmp_path, **changes)
    inject_faults(config, sleep=0.05)
    command = [sys.executable, "-m", "tests.complaints.jumping_clock"]
    done = subprocess.run(
        [*command, str(study_file(tmp_path, **changes)), str(config.paths.run_dir(0, "probe"))],
        cwd=ROOT, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.stdout.splitlines()[-1:] == ["out of time"], done.stderr
    made = records(config.paths.folder)
    assert 0 < len(made) < 200
    assert all((r.started or 0) <= (r.ended or 0) for r in made)
