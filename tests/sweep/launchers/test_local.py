"""Launchers keep their invariants, and a worker that dies loses nothing."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from sweep.driving.display import ProgressDisplay
from sweep.driving.driver import Driver
from sweep.launchers.base import Died, Ended, EpochEnded, Event, Failed, Job, Launcher, Note
from sweep.launchers.local import THREADS, LocalLauncher, local_slots, thread_share
from sweep.launchers.training import train
from sweep.study.config import StudyConfig
from sweep.study.folder import read_record
from tests.sweep.fakes import RUNNER, InlineLauncher, NoMirror, inject_faults, study
from uvtex.config import TrainConfig
from uvtex.runs.epochs import read_epochs
from uvtex.thresholds import Threshold

posix = pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")


def local(config: StudyConfig, workers: int = 1) -> LocalLauncher:
    return LocalLauncher(local_slots("cpu", workers), config.paths.folder, RUNNER)


@pytest.fixture(params=["inline", "local"])
def launcher(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Launcher]:
    made: Launcher = InlineLauncher() if request.param == "inline" else local(study(tmp_path))
    yield made
    made.close()


def job(config: StudyConfig, name: str = "0000", resume: bool = True) -> Job:
    schedule = config.search.schedule(config.search.schedules["good"], 6)
    train = config.train_config("probe", schedule)
    run_dir = config.paths.run_dir(int(name), "probe")
    return Job(train.model_dump(mode="json"), "nowhere", str(run_dir), resume, 0)


def events(launcher: Launcher, until: Callable[[Event], bool], go_on: bool = True) -> list[Event]:
    """Answers every epoch until ``until`` is true for an event; returns all events."""
    seen: list[Event] = []
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        for event in launcher.wait(0.1):
            seen.append(event)
            if until(event):
                return seen
            if isinstance(event, EpochEnded):
                launcher.answer(event.slot, go_on)
    raise AssertionError(f"only saw {seen}")


def is_end(event: Event) -> bool:
    return isinstance(event, Ended | Failed | Died)


# -- invariants of every launcher


def test_job_reports_its_epochs_in_order_and_ends(launcher: Launcher, tmp_path: Path) -> None:
    launcher.start(launcher.slots[0], job(study(tmp_path)))
    seen = events(launcher, is_end)
    assert [e.report["epoch"] for e in seen[:-1] if isinstance(e, EpochEnded)] == list(range(1, 7))
    assert isinstance(seen[-1], Ended)


def test_worker_writes_its_epoch_to_disk_before_it_waits_for_the_answer(
    launcher: Launcher, tmp_path: Path
) -> None:
    one = job(study(tmp_path))
    launcher.start(launcher.slots[0], one)
    events(launcher, lambda event: isinstance(event, EpochEnded))
    assert launcher.wait(0.3) == []
    assert len(read_epochs(Path(one.run_dir))) == 1


def test_stopped_job_ends_without_another_epoch(launcher: Launcher, tmp_path: Path) -> None:
    one = job(study(tmp_path))
    launcher.start(launcher.slots[0], one)
    events(launcher, is_end, go_on=False)
    assert len(read_epochs(Path(one.run_dir))) == 1


def test_warning_after_the_last_epoch_comes_before_the_end(
    launcher: Launcher, tmp_path: Path
) -> None:
    config = study(tmp_path)
    inject_faults(config, warn="no grids")
    slot = launcher.slots[0]
    launcher.start(slot, job(config))
    assert events(launcher, is_end)[-2:] == [Note(slot, "no grids"), Ended(slot)]


def test_slot_is_free_again_after_a_failure(launcher: Launcher, tmp_path: Path) -> None:
    config = study(tmp_path)
    inject_faults(config, **{"raise": {"0000/probe": 2}})
    launcher.start(launcher.slots[0], job(config))
    failed = events(launcher, is_end)[-1]
    assert isinstance(failed, Failed)
    assert failed.message == "ValueError: asked to"
    launcher.start(launcher.slots[0], job(config, "0001"))
    assert isinstance(events(launcher, is_end)[-1], Ended)


def test_a_killed_worker_has_died_and_the_slots_next_job_runs(
    launcher: Launcher, tmp_path: Path
) -> None:
    config, slot = study(tmp_path), launcher.slots[0]
    launcher.start(slot, job(config))
    events(launcher, lambda event: isinstance(event, EpochEnded))
    launcher.kill(slot)
    launcher.answer(slot, go_on=True)
    assert isinstance(events(launcher, is_end)[-1], Died)
    launcher.start(slot, job(config))
    seen = events(launcher, is_end)
    assert [e.report["epoch"] for e in seen if isinstance(e, EpochEnded)] == list(range(2, 7))
    assert isinstance(seen[-1], Ended)


def test_an_idle_worker_that_is_killed_ends_no_later_job(
    launcher: Launcher, tmp_path: Path
) -> None:
    config, slot = study(tmp_path), launcher.slots[0]
    launcher.kill(slot)  # it has none yet
    launcher.start(slot, job(config))
    events(launcher, is_end)
    launcher.kill(slot)
    launcher.start(slot, job(config, "0001"))
    assert isinstance(events(launcher, is_end)[-1], Ended)


# -- local workers


@posix
def test_a_stopped_worker_can_be_killed(tmp_path: Path) -> None:
    config = study(tmp_path)
    inject_faults(config, sleep=0.2)
    launcher = local(config)
    try:
        launcher.start("cpu-0", job(config))
        events(launcher, lambda event: isinstance(event, EpochEnded))
        (worker,) = psutil.Process().children()
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


def test_traceback_of_a_failure_is_in_the_trials_worker_log(tmp_path: Path) -> None:
    config = study(tmp_path)
    inject_faults(config, **{"raise": {"0000/probe": 1}})
    launcher = local(config)
    try:
        launcher.start("cpu-0", job(config))
        events(launcher, is_end)
    finally:
        launcher.close()
    log = (Path(job(config).run_dir) / "worker.log").read_text()
    assert "Traceback" in log
    assert "ValueError: asked to" in log


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
