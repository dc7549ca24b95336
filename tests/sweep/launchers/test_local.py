"""Launchers keep their invariants, and a worker that dies loses nothing."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from sweep.driving.display import ProgressDisplay
from sweep.driving.driver import Driver
from sweep.launchers.base import Died, Job, Launcher
from sweep.launchers.local import THREADS, LocalLauncher, local_slots, thread_share
from sweep.launchers.training import train
from sweep.study.config import StudyConfig
from sweep.study.folder import read_record
from tests.sweep.fakes import RUNNER, NoMirror, inject_faults, study
from tests.sweep.launchers.contract import (
    MakeLauncher,
    WorkerContract,
    events,
    is_end,
    is_epoch,
    job,
)
from uvtex.config import TrainConfig
from uvtex.runs.epochs import read_epochs
from uvtex.thresholds import Threshold

posix = pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")


def local(config: StudyConfig, workers: int = 1) -> LocalLauncher:
    return LocalLauncher(local_slots("cpu", workers), config.paths.folder, RUNNER)


class TestLocal(WorkerContract):
    @pytest.fixture(scope="class")
    @classmethod
    def launchers(cls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[MakeLauncher]:
        made: list[LocalLauncher] = []

        def make(slots: int = 1, runner: str = RUNNER) -> Launcher:
            logs = tmp_path_factory.mktemp("logs")
            made.append(LocalLauncher(local_slots("cpu", slots), logs, runner))
            return made[-1]

        yield make
        for launcher in made:
            launcher.close()


# -- local workers


@posix
def test_a_stopped_worker_can_be_killed(tmp_path: Path) -> None:
    config = study(tmp_path)
    inject_faults(config, sleep=0.2)
    launcher = local(config)
    others = psutil.Process().children()  # a test before may have left a helper of multiprocessing
    try:
        launcher.start("cpu-0", job(config))
        events(launcher, is_epoch)
        (worker,) = set(psutil.Process().children()).difference(others)
        worker.suspend()
        launcher.answer("cpu-0", go_on=True)
        assert launcher.wait(0.5) == []
        launcher.kill("cpu-0")
        (died,) = events(launcher, is_end)
        assert isinstance(died, Died)
        assert not worker.is_running()
    finally:
        launcher.close()


def test_grids_that_cannot_be_written_give_a_warning_and_the_run_succeeds(
    tiny_set: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr("sweep.launchers.training.write_grids", full)
    config = TrainConfig(epochs=1, image_size=32, width=0.1, val_split=0.34, device="cpu",
                         thresholds=(Threshold(metric="ssim_uv", at_least=0.5),))  # fmt: skip
    warnings: list[str] = []
    one = Job(config.model_dump(mode="json"), str(tiny_set), str(tmp_path), True, grids=1)
    assert [report["epoch"] for report in train(one, warnings.append)] == [1]
    (warning,) = warnings
    assert "no space left on device" in warning
    assert str(tmp_path / "worker.log") in warning


def test_cores_are_shared_out_among_workers() -> None:
    assert thread_share(8, 2, {}) == 4
    assert thread_share(2, 3, {}) == 1
    slots = local_slots("cpu", 2)
    threads = {slot.environment[name] for slot in slots for name in THREADS}
    assert len(slots) == 2
    assert len(threads) == 1


@pytest.mark.parametrize(
    ("given", "threads"), [("3", 3), ("3,2", 3), ("99", 8), ("0", 8), ("", 8), ("all", 8)]
)
def test_a_worker_has_no_more_threads_than_the_user_allows(given: str, threads: int) -> None:
    assert thread_share(8, 1, {"OMP_NUM_THREADS": given}) == threads


@posix
def test_worker_killed_in_an_epoch_is_replaced_and_the_run_continues(tmp_path: Path) -> None:
    config = study(tmp_path, trials=2)
    inject_faults(config, die={"0001/probe": 3})
    launcher = local(config)
    assert Driver(config, launcher, NoMirror(config), ProgressDisplay()).run() == "done"
    record = read_record(config.paths.run_dir(1, "probe"))
    assert (record.state, record.retries) == ("promoted", 1)
    epochs = [made.epoch for made in read_epochs(config.paths.run_dir(1, "probe"))]
    assert epochs == list(range(1, 7))
