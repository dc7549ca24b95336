"""Drivers as processes: one for each study, and a driver that dies loses nothing."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from sweep.driving.display import ProgressDisplay
from sweep.driving.driver import Driver
from sweep.study.config import StudyConfig
from sweep.study.folder import records
from sweep.study.lease import StudyTaken, driver, holder, lease
from tests.sweep.fakes import InlineLauncher, NoMirror, inject_faults, study, study_file
from uvtex.runs.epochs import read_epochs

ROOT = Path(__file__).parents[3]
posix = pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")


def start_driver(folder: Path, **changes: object) -> subprocess.Popen[str]:
    path = study_file(folder, **changes)
    return subprocess.Popen(
        [sys.executable, "-m", "tests.sweep.fakes", str(path)],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip


def wait_for(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.02)


def epochs_done(config: StudyConfig, trial: int = 0) -> int:
    return len(read_epochs(config.paths.run_dir(trial, "probe")))


@pytest.fixture
def slow(tmp_path: Path) -> StudyConfig:
    """A study whose epochs take a while."""
    config = study(tmp_path, trials=2)
    inject_faults(config, sleep=0.3)
    return config


def test_second_driver_is_refused_and_the_error_names_the_first(
    slow: StudyConfig, tmp_path: Path
) -> None:
    with lease(slow.paths):
        with pytest.raises(StudyTaken, match=rf"process {os.getpid()} on .* since 20"):
            lease(slow.paths).__enter__()
        second = start_driver(tmp_path)
        output, _ = second.communicate(timeout=60)
    assert second.returncode == 1
    assert f"is being driven by process {os.getpid()} on " in output
    assert len(output.splitlines()) == 1, "it refuses before it shows the settings"
    assert holder(slow.paths) is None


@pytest.mark.parametrize("host", [None, "another-container"])
def test_the_note_of_a_dead_driver_does_not_count_as_a_driver(
    tmp_path: Path, host: str | None
) -> None:
    """A driver that is killed leaves its note; a container that starts again has another name."""
    paths = study(tmp_path).paths
    assert driver(paths) is None
    assert not paths.folder.exists()
    with lease(paths):
        assert f"process {os.getpid()} on " in str(driver(paths))
        note = json.loads(paths.driver.read_text())
    note["host"] = host or note["host"]
    paths.driver.write_text(json.dumps(note))
    assert driver(paths) is None


@posix
def test_a_killed_driver_does_not_count_as_running(slow: StudyConfig, tmp_path: Path) -> None:
    first = start_driver(tmp_path, trials=2)
    wait_for(lambda: epochs_done(slow) >= 1, "an epoch")
    assert f"process {first.pid} on " in str(driver(slow.paths))
    first.kill()
    first.communicate()
    assert holder(slow.paths) is not None
    assert driver(slow.paths) is None


def test_a_process_that_looks_for_the_driver_does_not_count_as_one(tmp_path: Path) -> None:
    paths = study(tmp_path).paths
    with lease(paths):
        pass
    asking, done = threading.Event(), threading.Event()

    def ask() -> None:
        while not done.is_set():
            driver(paths)
            asking.set()

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        asking.wait(5)
        for _ in range(20):
            with lease(paths):
                assert f"process {os.getpid()} on " in str(driver(paths))
    finally:
        done.set()
        thread.join()


@posix
def test_killed_drivers_workers_end_and_the_next_driver_takes_over(
    slow: StudyConfig, tmp_path: Path
) -> None:
    first = start_driver(tmp_path, trials=2)
    wait_for(lambda: epochs_done(slow) >= 2, "two epochs")
    workers = psutil.Process(first.pid).children()
    first.kill()
    first.communicate()
    gone, alive = psutil.wait_procs(workers, timeout=5)
    assert gone
    assert not alive
    done = epochs_done(slow)
    assert records(slow.paths.folder)[0].state == "running"
    inject_faults(slow)
    launcher = InlineLauncher()
    assert Driver(slow, launcher, NoMirror(slow), ProgressDisplay()).run() == "done"
    assert Path(launcher.jobs[0].run_dir) == slow.paths.run_dir(0, "probe")
    assert epochs_done(slow) >= done
    assert {r.state for r in records(slow.paths.folder)} <= {
        "complete", "pruned", "promoted"
    }  # fmt: skip
    assert sum(r.stage == "probe" for r in records(slow.paths.folder)) == 2


@posix
def test_ctrl_c_stops_after_the_epoch_and_the_same_command_resumes(
    slow: StudyConfig, tmp_path: Path
) -> None:
    first = start_driver(tmp_path, trials=2)
    wait_for(lambda: epochs_done(slow) >= 1, "an epoch")
    first.send_signal(signal.SIGINT)
    output, _ = first.communicate(timeout=60)
    assert first.returncode == 0, output
    assert output.splitlines()[-1] == "interrupted"
    assert "Stopping after the current epoch" in output
    assert holder(slow.paths) is None
    inject_faults(slow)
    second = start_driver(tmp_path, trials=2)
    output, _ = second.communicate(timeout=60)
    assert "0000/probe (baseline): continues after epoch " in output
    assert output.splitlines()[-1] == "done"


@posix
def test_second_ctrl_c_stops_at_once(tmp_path: Path) -> None:
    config = study(tmp_path)
    inject_faults(config, sleep=30)
    driver = start_driver(tmp_path)
    wait_for(lambda: bool(records(config.paths.folder)), "a run")
    wait_for(lambda: bool(psutil.Process(driver.pid).children()), "a worker")
    workers = psutil.Process(driver.pid).children()
    driver.send_signal(signal.SIGINT)
    time.sleep(0.6)  # two signals at once would be one
    driver.send_signal(signal.SIGINT)
    output, _ = driver.communicate(timeout=15)
    assert output.splitlines()[-1] == "interrupted"
    assert not psutil.wait_procs(workers, timeout=5)[1]
    assert records(config.paths.folder)[0].state == "interrupted"
