"""A trial directory has one writer, whatever an earlier driver has left behind."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from sweep.driving.display import ProgressDisplay
from sweep.driving.driver import Driver
from sweep.launchers import sole_writer as module
from sweep.launchers.local import LocalLauncher, local_slots
from sweep.launchers.sole_writer import OWNER, sole_writer
from sweep.study.folder import read_record
from tests.sweep.driving.test_processes import epochs_done, start_driver, wait_for
from tests.sweep.fakes import RUNNER, NoMirror, inject_faults, study
from uvtex.errors import UvtexError

posix = pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
HOLD = """
import sys, time
from contextlib import nullcontext
from pathlib import Path
from sweep.launchers.sole_writer import sole_writer
from uvtex.runs.folder import claimed
run_dir = Path(sys.argv[1])
with sole_writer(run_dir, print) if sys.argv[2] == "worker" else claimed(run_dir):
    print("holds", flush=True)
    time.sleep(600)
"""


def holder(run_dir: Path, kind: str) -> subprocess.Popen[str]:
    """A process that holds the lock of a trial directory."""
    command = [sys.executable, "-c", HOLD, str(run_dir), kind]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "holds\n"
    return process


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    return tmp_path / "trials/0000/probe"


@pytest.fixture
def left(run_dir: Path) -> Iterator[subprocess.Popen[str]]:
    """A worker that an earlier driver left behind."""
    with holder(run_dir, "worker") as process:
        yield process
        process.kill()


@posix
def test_a_worker_that_was_left_behind_is_ended(run_dir: Path, left: subprocess.Popen[str]) -> None:
    psutil.Process(left.pid).suspend()
    notes: list[str] = []
    with sole_writer(run_dir, notes.append):
        assert left.wait(10) < 0
        assert json.loads((run_dir / OWNER).read_text())["pid"] == os.getpid()
    assert notes == [
        f"process {left.pid}, a worker of an earlier driver, was still there; it is ended"
    ]


@posix
def test_a_worker_that_ends_while_it_is_looked_up_is_no_error(
    run_dir: Path, left: subprocess.Popen[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    looked_up = module._left_behind

    def ended_since(folder: Path) -> psutil.Process | None:
        found = looked_up(folder)
        left.kill()
        left.wait(10)
        return found

    monkeypatch.setattr(module, "_left_behind", ended_since)
    notes: list[str] = []
    with sole_writer(run_dir, notes.append):
        assert json.loads((run_dir / OWNER).read_text())["pid"] == os.getpid()
    assert not notes


@pytest.mark.parametrize("changes", [{"host": "another"}, {"created": 1.0}])
def test_a_process_that_is_not_surely_a_worker_of_this_host_is_left_alone(
    run_dir: Path, left: subprocess.Popen[str], changes: dict[str, object],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr("sweep.launchers.sole_writer.ELSEWHERE_SECONDS", 0.1)
    owner = json.loads((run_dir / OWNER).read_text())
    assert owner["host"] == socket.gethostname()
    (run_dir / OWNER).write_text(json.dumps(owner | changes))
    with pytest.raises(UvtexError, match=rf"process {left.pid} on .*; end it, then run the study"):
        sole_writer(run_dir, print).__enter__()
    assert left.poll() is None


@posix
def test_a_worker_of_another_host_is_waited_for(run_dir: Path, left: subprocess.Popen[str]) -> None:
    owner = json.loads((run_dir / OWNER).read_text())
    (run_dir / OWNER).write_text(json.dumps(owner | {"host": "another"}))
    ending = threading.Timer(4.0, left.kill)  # after the wait for workers of this host
    ending.start()
    with sole_writer(run_dir, print):
        assert left.wait(10) < 0
    ending.join()


def test_a_person_who_trains_into_the_directory_is_left_alone(run_dir: Path) -> None:
    with holder(run_dir, "person") as process:
        with pytest.raises(UvtexError, match="another process is training into it"):
            sole_writer(run_dir, print).__enter__()
        assert process.poll() is None
        process.kill()


def has_ended(process: psutil.Process) -> bool:
    """Whether a process has ended; its parent may not have been told yet."""
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


@posix
def test_a_stopped_worker_of_a_killed_driver_is_ended_by_the_next_driver(tmp_path: Path) -> None:
    config = study(tmp_path, trials=1)
    inject_faults(config, stop={"0000/probe": 3})
    first = start_driver(tmp_path, trials=1)
    wait_for(lambda: epochs_done(config) == 2, "two epochs")
    (worker,) = psutil.Process(first.pid).children()
    wait_for(lambda: worker.status() == psutil.STATUS_STOPPED, "the worker to stop")
    first.kill()
    first.communicate()
    assert worker.is_running()
    notes: list[str] = []

    class Notes(ProgressDisplay):
        def note(self, text: str) -> None:
            notes.append(text)

    launcher = LocalLauncher(local_slots("cpu", 1), config.paths.folder, RUNNER)
    assert Driver(config, launcher, NoMirror(config), Notes()).run() == "done"
    assert has_ended(worker)
    assert any(f"process {worker.pid}, a worker of an earlier driver" in note for note in notes)
    assert read_record(config.paths.run_dir(0, "probe")).state == "complete"
    assert epochs_done(config) == 6
