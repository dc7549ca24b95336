"""Workers that die, hang or run out of memory: their runs go on, or fail with their last words."""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest

from sweep.driving.display import ProgressDisplay
from sweep.driving.driver import Driver
from sweep.driving.recovery import take_up_failed
from sweep.driving.workers.patience import LONGEST_LOOK, Patience
from sweep.launchers.local import LocalLauncher, local_slots
from sweep.launchers.worker import what_is_lost
from sweep.study.config import Hang, StudyConfig
from sweep.study.folder import TrialRecord, read_record, records
from tests.sweep.driving.test_processes import epochs_done, start_driver, wait_for
from tests.sweep.fakes import RUNNER, InlineLauncher, NoMirror, inject_faults, study
from uvtex.errors import DataError, OutOfMemory

posix = pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
SOON: dict[str, Any] = {"factor": 2, "least_seconds": 1.0, "first_epoch_seconds": 60.0}


class Notes(ProgressDisplay):
    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)


def drive(config: StudyConfig) -> list[str]:
    """Drives a study with real workers; returns what people are told."""
    notes = Notes()
    launcher = LocalLauncher(local_slots("cpu", 1), config.paths.folder, RUNNER)
    assert Driver(config, launcher, NoMirror(config), notes).run() == "done"
    return notes.notes


def probe(config: StudyConfig, trial: int = 0) -> TrialRecord:
    return read_record(config.paths.run_dir(trial, "probe"))


@posix
def test_every_new_epoch_lets_a_run_survive_as_many_deaths_again(tmp_path: Path) -> None:
    config = study(tmp_path, trials=1, retries=1)
    inject_faults(config, die={"0000/probe": [2, 3, 5]})
    drive(config)
    record = probe(config)
    assert (record.state, record.retries, record.deaths) == ("complete", 3, 0)
    assert epochs_done(config) == 6


@posix
def test_a_run_whose_workers_die_without_an_epoch_fails_and_can_be_taken_up_again(
    tmp_path: Path,
) -> None:
    config = study(tmp_path, trials=2, retries=2)
    inject_faults(config, die={"0001/probe": 3}, always=True)
    drive(config)
    record = probe(config, 1)
    assert (record.state, record.retries, record.deaths) == ("failed", 2, 3)
    assert str(record.reason).startswith("3 workers in a row died without a new epoch; the last")
    assert "killed by SIGKILL" in str(record.reason)
    assert str(record.output).splitlines() == ["about to die"] * 3
    assert drive(config) == []

    inject_faults(config)
    (line,) = take_up_failed(config)
    assert line.startswith("0001/probe (good): is taken up again")
    launcher = InlineLauncher()
    assert Driver(config, launcher, NoMirror(config), ProgressDisplay()).run() == "done"
    assert [Path(job.run_dir).parts[-2:] for job in launcher.jobs] == [
        ("0001", "probe"), ("0001", "full")
    ]  # fmt: skip
    assert probe(config, 1).state == "promoted"
    assert len(records(config.paths.folder)) == 3


@posix
def test_a_worker_without_memory_is_replaced_and_its_run_goes_on(tmp_path: Path) -> None:
    config = study(tmp_path, trials=1)
    inject_faults(config, memory={"0000/probe": 3})
    notes = drive(config)
    assert (probe(config).state, probe(config).retries) == ("complete", 1)
    (note,) = notes
    assert "worker ran out of memory: MemoryError: asked to; the run continues" in note


@pytest.mark.parametrize(
    ("error", "lost"),
    [
        (MemoryError(), "ran out of memory"),
        (OutOfMemory("out of memory on cpu"), "ran out of memory"),
        (OSError(12, "Cannot allocate memory"), "ran out of memory"),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried"),
         "ran out of memory"),
        (RuntimeError("CUDA out of memory. Tried to allocate 20.00 MiB."), "ran out of memory"),
        (RuntimeError("CUDA error: device-side assert triggered"), "lost its device"),
        (RuntimeError("CUDA error: an illegal memory access was encountered"), "lost its device"),
        (RuntimeError("cuDNN error: CUDNN_STATUS_INTERNAL_ERROR"), "lost its device"),
        (RuntimeError("The size of tensor a (3) must match the size of tensor b (4)"), None),
        (DataError("a picture of CUDA error.png cannot be read"), None),
        (OSError(28, "No space left on device"), None),
        (ValueError("out of memory"), None),
    ],
)  # fmt: skip
def test_errors_after_which_a_process_is_of_no_more_use(error: Exception, lost: str | None) -> None:
    assert what_is_lost(error) == lost


# -- workers that hang


@posix
def test_a_worker_that_says_nothing_is_killed_and_its_run_goes_on(tmp_path: Path) -> None:
    config = study(tmp_path, trials=1, hang=SOON)
    inject_faults(config, stop={"0000/probe": 3})
    notes = drive(config)
    assert (probe(config).state, probe(config).retries) == ("complete", 1)
    assert any("said nothing for 1 s and was killed; the run continues" in n for n in notes)


@posix
def test_one_ctrl_c_ends_a_study_whose_worker_is_stopped(tmp_path: Path) -> None:
    config = study(tmp_path, trials=2, hang=SOON)
    inject_faults(config, stop={"0000/probe": 3})
    driver = start_driver(tmp_path, trials=2, hang=SOON)
    wait_for(lambda: epochs_done(config) == 2, "two epochs")
    (worker,) = psutil.Process(driver.pid).children()
    driver.send_signal(signal.SIGINT)
    output, _ = driver.communicate(timeout=60)
    assert output.splitlines()[-1] == "interrupted"
    assert not worker.is_running()
    assert probe(config).state == "interrupted"


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_silence_counts_only_while_the_driver_listens() -> None:
    clock = Clock()
    patience = Patience(Hang(), clock)
    patience.heard("a")
    clock.now += 1e6  # the driver was stopped, or the machine slept under a clock that goes on
    assert patience.look({"a": LONGEST_LOOK}) == {}
    clock.now += 1.0
    assert patience.look({"a": LONGEST_LOOK}) == {"a": LONGEST_LOOK + 1.0}
    patience.heard("a")
    clock.now += 1.0
    assert patience.look({"a": LONGEST_LOOK, "b": 0.5}) == {"b": 1.0}


def test_a_limit_is_a_multiple_of_the_runs_own_epochs_else_of_the_studys() -> None:
    patience = Patience(Hang(factor=10, least_seconds=60, first_epoch_seconds=600))
    assert patience.limit([20, 30, 900], [1.0], between=True) == 300
    assert patience.limit([], [100.0], between=True) == 1000
    assert patience.limit([], [900.0] * 100 + [100.0] * 50, between=True) == 1000  # the latest
    assert patience.limit([2.0], [], between=True) == 60
    assert patience.limit([2.0], [], between=False) == 600
    assert patience.limit([100.0], [], between=False) == 1000
    assert patience.limit([], [], between=False) == 600


def test_a_study_of_an_earlier_version_may_be_given_other_patience(tmp_path: Path) -> None:
    from sweep.study.file import changes

    old = study(tmp_path)
    new = study(tmp_path, retries=7, hang={"factor": 99})
    assert changes(old, new) == []
