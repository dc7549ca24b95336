"""Workers and drivers as processes: launchers keep their invariants, and deaths lose nothing."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from sweep.driving.display import ProgressDisplay
from sweep.driving.driver import Driver
from sweep.launchers.base import Died, Ended, EpochEnded, Event, Failed, Job, Launcher, Note
from sweep.launchers.local import LocalLauncher, local_slots
from sweep.launchers.worker import train
from sweep.study.config import StudyConfig
from sweep.study.folder import read_record, records
from sweep.study.lease import StudyTaken, driver, holder, lease
from tests.sweep.fakes import RUNNER, InlineLauncher, NoMirror, break_things, study, study_file
from uvtex.config import TrainConfig
from uvtex.runs.epochs import read_epochs
from uvtex.thresholds import Threshold

ROOT = Path(__file__).parents[3]
posix = pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")


@pytest.fixture(autouse=True)
def _workers_find_the_fakes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))


def local(config: StudyConfig, workers: int = 1) -> LocalLauncher:
    return LocalLauncher(local_slots("cpu", workers), config.paths.folder, RUNNER)


@pytest.fixture(params=["inline", "local"])
def launcher(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Launcher]:
    made: Launcher = InlineLauncher() if request.param == "inline" else local(study(tmp_path))
    yield made
    made.close()


def job(config: StudyConfig, name: str = "0000", resume: bool = True) -> Job:
    from sweep.study import space

    params = space.params(config.search.schedules["good"])
    train = config.train_config("probe", space.schedule(params, 6))
    run_dir = config.paths.run_dir(int(name), "probe")
    return Job(train.model_dump(mode="json"), "nowhere", str(run_dir), resume, 0)


def events(launcher: Launcher, until: Callable[[Event], bool], go_on: bool = True) -> list[Event]:
    """Answers every epoch until an event is the one; returns all of them."""
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


# -- what every launcher keeps


def test_job_reports_its_epochs_in_order_and_ends(launcher: Launcher, tmp_path: Path) -> None:
    launcher.start(launcher.slots[0], job(study(tmp_path)))
    seen = events(launcher, is_end)
    assert [e.report["epoch"] for e in seen[:-1] if isinstance(e, EpochEnded)] == list(range(1, 7))
    assert isinstance(seen[-1], Ended)


def test_worker_waits_for_the_answer_with_its_epoch_on_disk(
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
    break_things(config, warn="no grids")
    slot = launcher.slots[0]
    launcher.start(slot, job(config))
    assert events(launcher, is_end)[-2:] == [Note(slot, "no grids"), Ended(slot)]


def test_slot_is_free_again_after_a_failure(launcher: Launcher, tmp_path: Path) -> None:
    config = study(tmp_path)
    break_things(config, **{"raise": {"0000/probe": 2}})
    launcher.start(launcher.slots[0], job(config))
    failed = events(launcher, is_end)[-1]
    assert isinstance(failed, Failed)
    assert failed.message == "ValueError: asked to"
    launcher.start(launcher.slots[0], job(config, "0001"))
    assert isinstance(events(launcher, is_end)[-1], Ended)


# -- local workers


def test_grids_that_cannot_be_drawn_are_a_warning_and_the_run_stands(
    tiny_set: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr("uvtex.evaluation.grids.write_grids", full)
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
    break_things(config, **{"raise": {"0000/probe": 1}})
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
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    shares = [int(place.environment["OMP_NUM_THREADS"]) for place in local_slots("cpu", 2)]
    assert shares == [max(1, (cores or 1) // 2)] * 2


@posix
def test_worker_killed_in_an_epoch_is_replaced_and_the_run_goes_on(tmp_path: Path) -> None:
    config = study(tmp_path, trials=2)
    break_things(config, die={"0001/probe": 3})
    launcher = local(config)
    assert Driver(config, launcher, NoMirror(config), ProgressDisplay()).run() == "done"
    record = read_record(config.paths.run_dir(1, "probe"))
    assert (record.state, record.retries) == ("promoted", 1)
    epochs = [made.epoch for made in read_epochs(config.paths.run_dir(1, "probe"))]
    assert epochs == list(range(1, 7))


@posix
def test_run_that_kills_its_worker_twice_has_failed(tmp_path: Path) -> None:
    config = study(tmp_path, trials=2)
    break_things(config, die={"0000/probe": 2}, always=True)
    assert Driver(config, local(config), NoMirror(config), ProgressDisplay()).run() == "done"
    record = read_record(config.paths.run_dir(0, "probe"))
    assert record.state == "failed"
    assert record.reason == "its worker died twice, the last time killed by signal 9"


# -- drivers


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
    break_things(config, sleep=0.3)
    return config


def test_second_driver_is_refused_and_told_who_is_first(slow: StudyConfig, tmp_path: Path) -> None:
    with lease(slow.paths):
        with pytest.raises(StudyTaken, match=rf"process {os.getpid()} on .* since 20"):
            lease(slow.paths).__enter__()
        second = start_driver(tmp_path)
        output, _ = second.communicate(timeout=60)
    assert second.returncode == 1
    assert f"is being driven by process {os.getpid()} on " in output
    assert holder(slow.paths) is None


@pytest.mark.parametrize("host", [None, "another-container"])
def test_note_of_a_dead_driver_is_not_taken_for_a_driver(tmp_path: Path, host: str | None) -> None:
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
def test_a_killed_driver_is_not_at_work(slow: StudyConfig, tmp_path: Path) -> None:
    first = start_driver(tmp_path, trials=2)
    wait_for(lambda: epochs_done(slow) >= 1, "an epoch")
    assert f"process {first.pid} on " in str(driver(slow.paths))
    first.kill()
    first.communicate()
    assert holder(slow.paths) is not None
    assert driver(slow.paths) is None


def test_whoever_asks_for_the_driver_is_never_taken_for_one(tmp_path: Path) -> None:
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
    break_things(slow)
    launcher = InlineLauncher()
    assert Driver(slow, launcher, NoMirror(slow), ProgressDisplay()).run() == "done"
    assert Path(launcher.jobs[0].run_dir) == slow.paths.run_dir(0, "probe")
    assert epochs_done(slow) >= done
    assert {r.state for r in records(slow.paths.folder)} <= {
        "complete", "pruned", "promoted"
    }  # fmt: skip
    assert sum(r.stage == "probe" for r in records(slow.paths.folder)) == 2


@posix
def test_ctrl_c_stops_after_the_epoch_and_the_same_command_goes_on(
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
    break_things(slow)
    second = start_driver(tmp_path, trials=2)
    output, _ = second.communicate(timeout=60)
    assert "0000/probe (baseline): goes on after epoch " in output
    assert output.splitlines()[-1] == "done"


@posix
def test_second_ctrl_c_stops_at_once(tmp_path: Path) -> None:
    config = study(tmp_path)
    break_things(config, sleep=30)
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
    assert records(config.paths.folder)[0].state == "running"
