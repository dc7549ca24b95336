"""A study is paused, resumed and stopped by other commands, and by a terminal that closes."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from click.testing import CliRunner, Result

from sweep.cli import main
from sweep.driving.session import prepare
from sweep.study.config import StudyConfig
from sweep.study.folder import records
from sweep.study.lease import driver, lease
from sweep.study.requests import REQUEST, Request, read_request, write_request
from tests.sweep.driving.test_processes import ROOT, epochs_done, start_driver, wait_for
from tests.sweep.fakes import inject_faults, study, study_file
from tests.sweep.made_study import add_trial
from uvtex.output import lasting

posix = pytest.mark.skipif(sys.platform == "win32", reason="signals and terminals of POSIX")


def sweep(config: StudyConfig, *arguments: str) -> Result:
    command = [*arguments, config.name, "--store", str(config.store)]
    return CliRunner().invoke(main, command)


def states(config: StudyConfig) -> list[str]:
    return [record.state for record in records(config.paths.folder)]


@pytest.fixture
def slow(tmp_path: Path) -> StudyConfig:
    """A study whose epochs take a while."""
    config = study(tmp_path, trials=2)
    prepare(config)
    inject_faults(config, sleep=0.3)
    return config


@posix
def test_a_paused_study_frees_its_workers_and_goes_on_where_it_was(
    slow: StudyConfig, tmp_path: Path
) -> None:
    running = start_driver(tmp_path, trials=2)
    wait_for(lambda: epochs_done(slow) >= 1, "an epoch")
    assert sweep(slow, "pause").exit_code == 0
    process = psutil.Process(running.pid)
    wait_for(lambda: not process.children(), "the worker's end")
    assert states(slow) == ["interrupted"]
    made = epochs_done(slow)
    told = sweep(slow, "status").output
    assert f"driven by process {running.pid} " in told
    assert "; paused, asked at 20" in told
    assert f"sweep resume made-up --store {slow.store}" in told
    inject_faults(slow)
    assert sweep(slow, "resume").output == "made-up goes on\n"
    output, _ = running.communicate(timeout=120)
    assert f"0000/probe (baseline): continues after epoch {made}" in output
    assert "Pausing after the current epoch. To go on: sweep resume made-up" in output
    assert "The study goes on." in output
    assert output.splitlines()[-1] == "done"


@posix
def test_a_paused_study_can_be_stopped(slow: StudyConfig, tmp_path: Path) -> None:
    write_request(slow.paths, Request(ask="pause", since="now"))
    running = start_driver(tmp_path, trials=2)
    wait_for(lambda: driver(slow.paths) is not None, "the driver")
    assert sweep(slow, "stop").output == "made-up stops after the epochs in progress\n"
    output, _ = running.communicate(timeout=60)
    assert output.splitlines()[-1] == "interrupted"
    assert states(slow) == []


@posix
def test_stop_ends_a_study_after_its_epoch(slow: StudyConfig, tmp_path: Path) -> None:
    running = start_driver(tmp_path, trials=2)
    wait_for(lambda: epochs_done(slow) >= 1, "an epoch")
    sweep(slow, "stop")
    output, _ = running.communicate(timeout=60)
    assert output.splitlines()[-1] == "interrupted"
    assert states(slow) == ["interrupted"]


@posix
def test_stop_now_does_not_wait_for_the_epoch(tmp_path: Path) -> None:
    config = study(tmp_path, trials=2)
    prepare(config)
    inject_faults(config, sleep=600)
    running = start_driver(tmp_path, trials=2)
    wait_for(lambda: bool(records(config.paths.folder)), "a run")
    sweep(config, "stop", "--now")
    output, _ = running.communicate(timeout=60)
    assert output.splitlines()[-1] == "interrupted"
    assert states(config) == ["interrupted"]


@pytest.mark.parametrize("command", ["pause", "resume", "stop"])
def test_a_study_without_a_driver_cannot_be_asked(slow: StudyConfig, command: str) -> None:
    done = sweep(slow, command)
    assert done.exit_code == 1
    assert "study 'made-up': no driver is running; `sweep run`" in done.stderr
    assert read_request(slow.paths) is None


def test_a_damaged_request_asks_nothing(slow: StudyConfig) -> None:
    add_trial(slow, 0, state="running", made=2)
    with lease(slow.paths):
        assert sweep(slow, "pause").exit_code == 0
        assert "; pausing, asked at 20" in sweep(slow, "status").output
    assert read_request(slow.paths) is not None
    (slow.paths.folder / REQUEST).write_text('{"ask": "dan')
    assert read_request(slow.paths) is None


# -- the terminal


@posix
def test_a_closed_terminal_ends_the_study_after_its_epoch(
    slow: StudyConfig, tmp_path: Path
) -> None:
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "tests.sweep.fakes", str(study_file(tmp_path, trials=2))]
    code = "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); "
    code += "os.execv(sys.argv[1], sys.argv[1:])"
    running = subprocess.Popen(
        [sys.executable, "-c", code, *command],
        cwd=ROOT, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True,
    )  # fmt: skip
    os.close(theirs)
    wait_for(lambda: epochs_done(slow) >= 1, "an epoch")
    os.close(ours)  # the system sends SIGHUP, and every write fails from now on
    assert running.wait(60) == 0
    assert states(slow) == ["interrupted"]
    assert driver(slow.paths) is None


def test_what_is_written_after_the_reader_has_gone_goes_nowhere() -> None:
    reading, writing = os.pipe()
    with os.fdopen(writing, "w", buffering=1) as pipe:
        out = lasting(pipe)
        print("one", file=out, flush=True)
        assert os.read(reading, 100) == b"one\n"
        os.close(reading)
        for _ in range(3):
            print("two", file=out, flush=True)
        assert not out.isatty()


@posix
def test_under_nohup_a_closed_terminal_means_nothing(
    slow: StudyConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        running = start_driver(tmp_path, trials=2)
    finally:
        signal.signal(signal.SIGHUP, before)
    wait_for(lambda: epochs_done(slow) >= 1, "an epoch")
    running.send_signal(signal.SIGHUP)
    inject_faults(slow)
    output, _ = running.communicate(timeout=120)
    assert output.splitlines()[-1] == "done"
