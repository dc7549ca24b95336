"""What every launcher keeps. Each launcher's test module has a class that inherits these tests.

A subclass gives the fixture ``launchers`` of class scope, which makes launchers of the kind and
closes them at the end. Most tests share one launcher. They leave its slots without a job.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import pytest

from sweep.launchers.base import Died, Ended, EpochEnded, Event, Failed, Job, Launcher, Note
from sweep.study.config import StudyConfig
from tests.sweep.fakes import RUNNER, inject_faults, study
from uvtex.runs.epochs import read_epochs

STRANGE = "tests.complaints.strange_workers"


class MakeLauncher(Protocol):
    """Makes a launcher, which the test need not close."""

    def __call__(self, slots: int = 1, runner: str = RUNNER) -> Launcher: ...


def job(config: StudyConfig, name: str = "0000", resume: bool = True) -> Job:
    schedule = config.search.schedule(config.search.schedules["good"], 6)
    train = config.train_config("probe", schedule)
    run_dir = config.paths.run_dir(int(name), "probe")
    return Job(train.model_dump(mode="json"), "nowhere", str(run_dir), resume, 0)


def events(launcher: Launcher, until: Callable[[Event], bool], go_on: bool = True) -> list[Event]:
    """Answers every epoch until ``until`` is true for an event; returns all events."""
    seen: list[Event] = []
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        for event in launcher.wait(0.1):
            seen.append(event)
            if until(event):
                return seen
            if isinstance(event, EpochEnded):
                launcher.answer(event.slot, go_on)
    raise AssertionError(f"only saw {seen}")


def await_slots(launcher: Launcher, count: int) -> None:
    """Waits until the launcher has so many slots. In a cluster they come one by one."""
    deadline = time.monotonic() + 60
    while len(set(launcher.slots)) < count:
        assert launcher.wait(0.1) == []
        assert time.monotonic() < deadline, f"only {launcher.slots}"


def is_end(event: Event) -> bool:
    return isinstance(event, Ended | Failed | Died)


def is_epoch(event: Event) -> bool:
    return isinstance(event, EpochEnded)


def epochs(seen: list[Event]) -> list[int]:
    return [event.report["epoch"] for event in seen if isinstance(event, EpochEnded)]


class LauncherContract:
    """The invariants of :class:`sweep.launchers.base.Launcher`."""

    @pytest.fixture
    def config(self, tmp_path: Path) -> StudyConfig:
        return study(tmp_path)

    @pytest.fixture(scope="class")
    @classmethod
    def launcher(cls, launchers: MakeLauncher) -> Launcher:
        return launchers()

    def test_a_job_reports_its_epochs_in_order_and_ends_once(
        self, launcher: Launcher, config: StudyConfig
    ) -> None:
        slot = launcher.slots[0]
        launcher.start(slot, job(config))
        seen = events(launcher, is_end)
        assert epochs(seen) == list(range(1, 7))
        assert seen[-1] == Ended(slot)
        assert len(seen) == 7
        assert launcher.wait(0.3) == []

    def test_the_events_of_each_slot_are_in_order(
        self, launchers: MakeLauncher, config: StudyConfig
    ) -> None:
        launcher = launchers(slots=2)
        await_slots(launcher, 2)
        for number, slot in enumerate(launcher.slots):
            launcher.start(slot, job(config, f"000{number}"))
        ended: set[str] = set()

        def both_ended(event: Event) -> bool:
            ended.update({event.slot} if is_end(event) else ())
            return len(ended) == 2

        seen = events(launcher, both_ended)
        for slot in launcher.slots:
            own = [event for event in seen if event.slot == slot]
            assert epochs(own) == list(range(1, 7))
            assert own[-1] == Ended(slot)

    def test_an_epoch_is_on_disk_before_its_event_and_the_worker_waits_for_the_answer(
        self, launcher: Launcher, config: StudyConfig
    ) -> None:
        one = job(config)
        launcher.start(launcher.slots[0], one)
        events(launcher, is_epoch)
        assert len(read_epochs(Path(one.run_dir))) == 1
        assert launcher.wait(0.3) == []
        assert len(read_epochs(Path(one.run_dir))) == 1
        launcher.answer(launcher.slots[0], go_on=False)
        events(launcher, is_end)

    def test_a_stopped_job_ends_without_another_epoch(
        self, launcher: Launcher, config: StudyConfig
    ) -> None:
        one = job(config)
        launcher.start(launcher.slots[0], one)
        seen = events(launcher, is_end, go_on=False)
        assert seen[-1] == Ended(launcher.slots[0])
        assert len(read_epochs(Path(one.run_dir))) == 1

    def test_a_warning_after_the_last_epoch_comes_before_the_end(
        self, launcher: Launcher, config: StudyConfig
    ) -> None:
        inject_faults(config, warn="no grids")
        slot = launcher.slots[0]
        launcher.start(slot, job(config))
        assert events(launcher, is_end)[-2:] == [Note(slot, "no grids"), Ended(slot)]

    def test_a_slot_is_free_again_after_a_failure(
        self, launcher: Launcher, config: StudyConfig
    ) -> None:
        inject_faults(config, **{"raise": {"0000/probe": 2}})
        launcher.start(launcher.slots[0], job(config))
        failed = events(launcher, is_end)[-1]
        assert isinstance(failed, Failed)
        assert failed.message == "ValueError: asked to"
        launcher.start(launcher.slots[0], job(config, "0001"))
        assert isinstance(events(launcher, is_end)[-1], Ended)

    def test_a_job_that_resumes_goes_on_after_its_last_epoch(
        self, launcher: Launcher, config: StudyConfig
    ) -> None:
        launcher.start(launcher.slots[0], job(config))
        events(launcher, is_end, go_on=False)
        launcher.start(launcher.slots[0], job(config))
        assert epochs(events(launcher, is_end)) == list(range(2, 7))

    def test_a_killed_worker_has_died_and_the_slots_next_job_runs(
        self, launcher: Launcher, config: StudyConfig
    ) -> None:
        slot = launcher.slots[0]
        launcher.start(slot, job(config))
        events(launcher, is_epoch)
        launcher.kill(slot)
        launcher.answer(slot, go_on=True)
        assert isinstance(events(launcher, is_end)[-1], Died)
        launcher.start(slot, job(config))
        seen = events(launcher, is_end)
        assert epochs(seen) == list(range(2, 7))
        assert isinstance(seen[-1], Ended)

    def test_a_killed_worker_has_died_even_if_nobody_answers_it(
        self, launcher: Launcher, config: StudyConfig
    ) -> None:
        launcher.start(launcher.slots[0], job(config))
        events(launcher, is_epoch)
        launcher.kill(launcher.slots[0])
        (died,) = events(launcher, is_end)
        assert isinstance(died, Died)

    def test_an_idle_worker_that_is_killed_ends_no_later_job(
        self, launcher: Launcher, config: StudyConfig
    ) -> None:
        slot = launcher.slots[0]
        launcher.kill(slot)  # it has none yet
        launcher.start(slot, job(config))
        events(launcher, is_end)
        launcher.kill(slot)
        launcher.start(slot, job(config, "0001"))
        assert isinstance(events(launcher, is_end)[-1], Ended)

    def test_close_ends_everything_and_may_be_called_twice(
        self, launchers: MakeLauncher, config: StudyConfig
    ) -> None:
        launcher, one = launchers(), job(config)
        launcher.start(launcher.slots[0], one)
        events(launcher, is_epoch)
        launcher.close()
        launcher.close()
        assert len(read_epochs(Path(one.run_dir))) == 1


class WorkerContract(LauncherContract):
    """What every launcher keeps whose workers are processes."""

    def test_a_worker_that_dies_is_replaced(self, launcher: Launcher, config: StudyConfig) -> None:
        inject_faults(config, die={"0000/probe": 3})
        slot = launcher.slots[0]
        launcher.start(slot, job(config))
        *before, died = events(launcher, is_end)
        assert epochs(before) == [1, 2]
        assert died == Died(slot, "killed by SIGKILL, perhaps for lack of memory")
        launcher.start(slot, job(config))
        assert epochs(events(launcher, is_end)) == [3, 4, 5, 6]

    def test_what_is_no_event_is_the_death_of_the_worker(
        self, launchers: MakeLauncher, config: StudyConfig
    ) -> None:
        launcher = launchers(runner=f"{STRANGE}:write_rubbish")
        launcher.start(launcher.slots[0], job(config))
        (died,) = events(launcher, is_end)
        assert isinstance(died, Died)
        assert died.message.startswith("sent the driver something that is no event: b'license")

    def test_a_worker_that_does_not_start_has_died(
        self, launchers: MakeLauncher, config: StudyConfig
    ) -> None:
        launcher = launchers(runner="tests.complaints.missing:none")
        launcher.start(launcher.slots[0], job(config))
        (died,) = events(launcher, is_end)
        assert isinstance(died, Died)
        assert died.message.startswith("exited with code 1; the last line of ")
        assert "No module named 'tests.complaints.missing'" in died.message

    def test_what_is_printed_is_in_the_trials_log_and_no_event(
        self, launchers: MakeLauncher, config: StudyConfig
    ) -> None:
        launcher = launchers(runner=f"{STRANGE}:talk")
        one = job(config)
        launcher.start(launcher.slots[0], one)
        assert events(launcher, is_end) == [Ended(launcher.slots[0])]
        log = (Path(one.run_dir) / "worker.log").read_bytes()
        assert b'{"event": "ended"}' in log
        assert b"a program that it started" in log

    def test_the_traceback_of_a_failure_is_in_the_trials_log(
        self, launcher: Launcher, config: StudyConfig
    ) -> None:
        inject_faults(config, **{"raise": {"0000/probe": 1}})
        launcher.start(launcher.slots[0], job(config))
        events(launcher, is_end)
        log = (Path(job(config).run_dir) / "worker.log").read_text()
        assert "Traceback" in log
        assert "ValueError: asked to" in log

    def test_no_module_of_the_working_folder_gets_into_a_worker(
        self, launchers: MakeLauncher, config: StudyConfig, tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:  # fmt: skip
        traps = tmp_path / "traps"
        traps.mkdir()
        for name in ("random", "torch", "sitecustomize", "sweep", "uvtex", "tests"):
            (traps / f"{name}.py").write_text(f"open({str(traps / 'sprung')!r}, 'a').write('x')")
        monkeypatch.chdir(traps)
        monkeypatch.setenv("PYTHONPATH", str(traps))
        launcher = launchers(runner=f"{STRANGE}:tell")
        launcher.start(launcher.slots[0], job(config))
        note, end = events(launcher, is_end)
        assert isinstance(note, Note)
        assert isinstance(end, Ended)
        told = json.loads(note.message)
        assert not (traps / "sprung").exists()
        assert told["flags"] == {"isolated": 1, "no_user_site": 1, "optimize": 0}
        assert told["python"] == []
        assert not [place for place in told["path"] if place.startswith(str(tmp_path))]
