"""A study on a small disk: it stops before the disk is full, and loses nothing if it is."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from sweep.decisions.disk import RESERVE
from sweep.driving.disk_space.room import DiskRoom, disk_forecast
from sweep.driving.display import ProgressDisplay
from sweep.driving.driver import Driver
from sweep.driving.due_runs import Records
from sweep.launchers.base import Launcher
from sweep.launchers.local import LocalLauncher, local_slots
from sweep.study.folder import records
from tests.sweep.driving.filling import RUNNER
from tests.sweep.fakes import InlineLauncher, NoMirror, study
from tests.sweep.made_study import add_checkpoint, add_trial, make_study

SMALL = {"image_size": 32, "width": 0.1, "device": "cpu"}


def mount(folder: Path, size: str) -> None:
    again = ["-o", f"remount,size={size}"] if os.path.ismount(folder) else ["-o", f"size={size}"]
    command = ["mount", "-t", "tmpfs", *again, "tmpfs", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"no small disk can be mounted here: {done.stderr.strip()}")


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    mount(folder, "40m")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def drive(config: object, launcher: Launcher) -> tuple[str, str | None]:
    driver = Driver(config, launcher, NoMirror(config), ProgressDisplay())  # type: ignore[arg-type]
    return driver.run(), driver.ending


def test_a_study_stops_before_the_disk_is_full_and_goes_on_when_there_is_space(
    disk: Path,
) -> None:
    config = study(disk, train=SMALL)
    outcome, ending = drive(config, InlineLauncher(1))
    assert outcome == "disk nearly full"
    assert ending is not None
    assert "41.8 MB are free" in ending or "41.9 MB are free" in ending
    assert "sweep clean made-up" in ending
    assert records(config.paths.folder) == []
    mount(disk, "300m")
    assert drive(config, InlineLauncher(1)) == ("done", None)
    probes = [record for record in records(config.paths.folder) if record.stage == "probe"]
    assert [record.trial for record in probes] == list(range(config.trials))


def test_a_run_that_finds_the_disk_full_is_interrupted_and_goes_on_later(disk: Path) -> None:
    mount(disk, "90m")
    config = study(disk, train=SMALL, trials=1)
    (disk / "bytes").write_text("100000000")
    outcome, ending = drive(config, local(config, RUNNER))
    assert outcome == "disk nearly full"
    assert ending is not None
    assert "No space left on device" in ending
    [record] = records(config.paths.folder)
    assert record.state == "interrupted"
    assert not list(disk.rglob("*.part"))
    (disk / "bytes").write_text("10")
    assert drive(config, local(config, RUNNER)) == ("done", None)
    assert records(config.paths.folder)[0].state == "complete"


def local(config: object, runner: str) -> LocalLauncher:
    folder = config.paths.folder  # type: ignore[attr-defined]
    return LocalLauncher(local_slots("cpu", 1), folder, runner)


def test_the_forecast_is_of_the_networks_until_a_run_has_ended(tmp_path: Path) -> None:
    config = make_study(tmp_path)
    assert "by the size of the networks" in disk_forecast(config)
    estimated, measured = DiskRoom(config, Records()).needs("probe")
    assert not measured
    record, run_dir = add_trial(config, 0)
    checkpoint = add_checkpoint(config, run_dir)
    assert "as measured; probes to go: 29," in disk_forecast(config)
    found, measured = DiskRoom(config, Records([record])).needs("probe")
    assert measured
    # The made-up last checkpoint lacks the optimiser's state, and a periodic one is there.
    written = sum(path.stat().st_size for path in run_dir.rglob("*") if path.is_file())
    assert found.kept > written
    assert 4 * checkpoint.stat().st_size < estimated.kept < 12 * checkpoint.stat().st_size


def test_too_small_a_disk_is_said_beforehand(disk: Path) -> None:
    config = make_study(disk)
    assert DiskRoom(config, Records()).free < RESERVE
    assert "the study stops before the disk is full" in disk_forecast(config)
