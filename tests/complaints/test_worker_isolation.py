"""No file of the working folder, no variable and no printed line gets between driver and worker."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

import sweep
import uvtex
from sweep.driving.display import ProgressDisplay
from sweep.driving.driver import Driver
from sweep.launchers.base import Died, Ended, Event, Failed, Job, Note
from sweep.launchers.local import LocalLauncher, local_slots
from sweep.launchers.process import exit_description, worker_environment
from sweep.launchers.worker_log import last_line
from sweep.study.folder import read_record
from tests.sweep.fakes import NoMirror, study, study_file

ROOT = Path(__file__).parents[2]
STRANGE = "tests.complaints.strange_workers"
posix = pytest.mark.skipif(sys.platform == "win32", reason="signals and forks of POSIX")

SHADOWS = ("sweep", "uvtex", "tests", "torch", "random", "json", "numpy", "sitecustomize")


def job(folder: Path) -> Job:
    return Job({}, "nowhere", str(folder / "trial"), resume=True, grids=0)


def heard(launcher: LocalLauncher, seconds: float = 60) -> list[Event]:
    """The events of the launcher's only slot until its job ends."""
    seen: list[Event] = []
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        seen += launcher.wait(0.1)
        if seen and isinstance(seen[-1], Ended | Failed | Died):
            return seen
    raise AssertionError(f"only heard {seen}")


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Callable[..., list[Event]]]:
    """Runs a job in a real worker with a runner of ``strange_workers``; returns its events."""
    made: list[LocalLauncher] = []

    def start(runner: str, **kwargs: Any) -> list[Event]:
        launcher = LocalLauncher(local_slots("cpu", 1), tmp_path / "logs", runner, **kwargs)
        made.append(launcher)
        launcher.start("cpu-0", job(tmp_path))
        return heard(launcher)

    yield start
    for launcher in made:
        launcher.close()


# -- what lies in the working folder, and what the environment says


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What a worker tells that started in a folder full of traps."""
    folder = tmp_path_factory.mktemp("traps")
    site = folder / f"user/lib/python{sys.version_info[0]}.{sys.version_info[1]}/site-packages"
    site.mkdir(parents=True)
    mark = folder / "sprung"
    trap = f"open({str(mark)!r}, 'a').write(__name__ + '\\n'); print('hello from', __name__)\n"
    for place in (*(folder / f"{name}.py" for name in SHADOWS), site / "usercustomize.py"):
        place.write_text(trap)
    (site / "trap.pth").write_text(f"import sys; open({str(mark)!r}, 'a').write('pth')")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("PYTHONPATH", f"{folder}{os.pathsep}")
        patch.setenv("PYTHONUSERBASE", str(folder / "user"))
        patch.setenv("PYTHONHOME", str(folder))
        patch.setenv("PYTHONOPTIMIZE", "2")
        patch.setenv("PYTHONWARNINGS", "error")
        patch.setenv("PYTHONINSPECT", "1")
        launcher = LocalLauncher(local_slots("cpu", 1), folder / "logs", f"{STRANGE}:tell")
        try:
            launcher.start("cpu-0", job(folder))
            note, end = heard(launcher)
        finally:
            launcher.close()
    assert isinstance(note, Note)
    assert isinstance(end, Ended)
    sprung = mark.read_text().split() if mark.is_file() else []
    return {**json.loads(note.message), "folder": str(folder), "sprung": sprung}


@pytest.mark.parametrize("name", [*SHADOWS, "usercustomize", "pth"])
def test_a_file_beside_the_study_file_is_never_imported_by_a_worker(
    name: str, told: dict[str, Any]
) -> None:
    assert name not in told["sprung"]


def test_a_worker_imports_the_packages_of_its_driver(told: dict[str, Any]) -> None:
    assert told["files"]["sweep"] == sweep.__file__
    assert told["files"]["uvtex"] == uvtex.__file__
    assert told["files"]["tests"] == str(ROOT / "tests/__init__.py")
    assert told["files"]["random"] == __import__("random").__file__
    import torch

    assert told["files"]["torch"] == torch.__file__


def test_neither_folder_nor_environment_is_on_a_workers_path(told: dict[str, Any]) -> None:
    assert not [entry for entry in told["path"] if entry.startswith(told["folder"])]
    assert "" not in told["path"]


def test_python_variables_change_nothing_in_a_worker(told: dict[str, Any]) -> None:
    assert told["flags"] == {"isolated": 1, "no_user_site": 1, "optimize": 0}
    assert told["python"] == []


def test_the_shares_of_a_slot_win_over_the_users_variables_and_the_rest_is_passed_on() -> None:
    mine = {"OMP_NUM_THREADS": "7", "PYTHONPATH": "x", "PYTHONWARNINGS": "error", "HOME": "/h"}
    assert worker_environment(mine, {"OMP_NUM_THREADS": "2"}) == {
        "OMP_NUM_THREADS": "2", "HOME": "/h"
    }  # fmt: skip


# -- what is printed


@posix
def test_whatever_is_printed_is_in_the_logs_and_no_event(
    run: Callable[..., list[Event]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LC_ALL", "C")
    monkeypatch.setenv("PYTHONIOENCODING", "cp1252")
    assert run(f"{STRANGE}:talk") == [Ended("cpu-0")]
    log = (tmp_path / "trial/worker.log").read_bytes()
    assert b'{"event": "ended"}' in log
    assert log.count(b"no newline ") == 100_000
    assert bytes(range(256)) in log
    assert b'"a C library"' in log
    assert b"a program that it started" in log
    assert "Größe → 1".encode() in log
    between = (tmp_path / "logs/worker-cpu-0.log").read_text()
    assert between == "license server: ok, 41 days left\n"


# -- what ends a worker


@posix
@pytest.mark.parametrize(
    ("runner", "reason"),
    [
        ("write_rubbish", r"sent the driver something that is no event: b'license server: ok' is"),
        ("die_in_a_line", "killed by SIGKILL, perhaps for lack of memory$"),
        ("close_the_channel", "closed its channel to the driver and went on"),
    ],
)
def test_a_worker_that_stops_making_sense_has_died(
    runner: str, reason: str, run: Callable[..., list[Event]]
) -> None:
    (died,) = run(f"{STRANGE}:{runner}")
    assert isinstance(died, Died)
    assert re.search(reason, died.message), died.message


@posix
def test_a_process_that_a_worker_leaves_behind_does_not_keep_the_driver_waiting(
    run: Callable[..., list[Event]],
) -> None:
    child, died = run(f"{STRANGE}:leave_a_child")
    assert isinstance(child, Note)
    left = psutil.Process(int(child.message))
    assert left.is_running()
    left.kill()
    assert isinstance(died, Died)
    assert died.message.startswith("exited with code 3; the last line of ")
    assert died.message.endswith("cudaErrorAssert: device-side assert triggered")


def test_a_worker_that_does_not_start_has_died(run: Callable[..., list[Event]]) -> None:
    (died,) = run("tests.complaints.stuck_worker:none", start_seconds=1.0)
    assert died == Died("cpu-0", "did not start within 1 s")


def test_a_worker_that_cannot_load_its_runner_says_why(run: Callable[..., list[Event]]) -> None:
    (died,) = run("tests.complaints.missing:none")
    assert isinstance(died, Died)
    assert died.message.startswith("exited with code 1; the last line of ")
    assert "ModuleNotFoundError: No module named 'tests.complaints.missing'" in died.message


def test_an_interpreter_that_is_gone_is_a_death(
    run: Callable[..., list[Event]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python-of-yesterday"))
    (died,) = run(f"{STRANGE}:tell")
    assert isinstance(died, Died)
    assert "could not be started: " in died.message
    assert "python-of-yesterday" in died.message


@posix
def test_an_event_of_an_idle_worker_reaches_no_run(tmp_path: Path) -> None:
    launcher = LocalLauncher(local_slots("cpu", 1), tmp_path, f"{STRANGE}:end_twice")
    try:
        launcher.start("cpu-0", job(tmp_path))
        assert heard(launcher) == [Ended("cpu-0")]
        deadline = time.monotonic() + 2
        while time.monotonic() < deadline:
            assert launcher.wait(0.1) == []
    finally:
        launcher.close()


@posix
def test_a_study_whose_workers_talk_rubbish_ends_and_says_so(tmp_path: Path) -> None:
    config = study(tmp_path, trials=1, retries=1)
    launcher = LocalLauncher(local_slots("cpu", 1), config.paths.folder, f"{STRANGE}:write_rubbish")
    assert Driver(config, launcher, NoMirror(config), ProgressDisplay()).run() == "done"
    record = read_record(config.paths.run_dir(0, "probe"))
    assert (record.state, record.retries) == ("failed", 1)
    assert "b'license server: ok' is not JSON" in str(record.reason)


@posix
def test_two_ctrl_cs_end_a_driver_whose_worker_does_not_start(tmp_path: Path) -> None:
    code = (
        "import sys; from tests.sweep import fakes; "
        "fakes.RUNNER = 'tests.complaints.stuck_worker:none'; fakes.main()"
    )
    path = study_file(tmp_path)
    with subprocess.Popen(
        [sys.executable, "-c", code, str(path)], cwd=ROOT, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    ) as driver:  # fmt: skip
        try:
            deadline = time.monotonic() + 300
            while not (workers := psutil.Process(driver.pid).children()):
                assert time.monotonic() < deadline
                assert driver.poll() is None
                time.sleep(0.05)
            time.sleep(0.5)
            driver.send_signal(signal.SIGINT)
            time.sleep(0.8)  # two signals at once would be one
            driver.send_signal(signal.SIGINT)
            output, _ = driver.communicate(timeout=60)
        finally:
            driver.kill()  # it would wait for its worker, and this test for it
    assert output.splitlines()[-1] == "interrupted"
    assert not psutil.wait_procs(workers, timeout=5)[1]


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (0, "exited with code 0"),
        (3, "exited with code 3"),
        (-9, "killed by SIGKILL, perhaps for lack of memory"),
        (-11, "killed by SIGSEGV"),
        (-200, "killed by signal 200"),
    ],
)
@posix
def test_a_death_is_described_in_words(code: int, words: str) -> None:
    assert exit_description(code) == words


def test_the_last_words_are_one_clean_line_of_this_run(tmp_path: Path) -> None:
    log = tmp_path / "worker.log"
    log.write_bytes(b"of an earlier run\n")
    size = log.stat().st_size
    assert last_line(log, size) == ""
    with log.open("ab") as file:
        file.write(b"\x1b[31mValueError: \xff no\x1b[0m\n\n \nepoch 3: {}\n")
    assert last_line(log, size) == "[31mValueError: \ufffd no[0m"
    assert last_line(tmp_path / "none", 0) == ""
