"""What a killed driver left undone is done by the next one: judgements, and the time it spent."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest

from sweep.driving.active_run import ActiveRun
from sweep.driving.display import ProgressDisplay
from sweep.driving.driver import Driver
from sweep.driving.spending import SPENT, Spending
from sweep.launchers.base import EpochEnded, Event
from sweep.study.config import StudyConfig
from sweep.study.folder import TrialRecord, read_record, records, write_record
from tests.sweep.fakes import InlineLauncher, NoMirror, inject_faults, study
from uvtex.errors import UvtexError


def drive(config: StudyConfig, **options: Any) -> list[str]:
    launcher = InlineLauncher()
    Driver(config, launcher, NoMirror(config), ProgressDisplay(), **options).run()
    return ["/".join(Path(job.run_dir).parts[-2:]) for job in launcher.jobs]


def outcome(config: StudyConfig) -> list[tuple[Any, ...]]:
    return [
        (r.trial, r.name, r.state, r.reason, r.looks, r.flag, r.params)
        for r in records(config.paths.folder)
    ]


def test_an_epoch_that_no_driver_judged_is_judged_before_its_run_goes_on(tmp_path: Path) -> None:
    """The driver died between the epoch and its record, so the record lacks what it decided.

    ``test_stopping`` has the same for probes that are pruned.
    """
    config = study(tmp_path, trials=2)
    inject_faults(config, nan={"0000/probe": 3})
    drive(config)
    before = outcome(config)
    run_dir = config.paths.run_dir(0, "probe")
    record = read_record(run_dir)
    assert record.state == "failed"
    undone: dict[str, Any] = {"state": "running", "reason": None, "ended": None}
    write_record(run_dir, record.model_copy(update={**undone, "epochs_made": None}))
    assert drive(config) == []  # no worker was needed
    assert outcome(config) == before


class LateWorker(InlineLauncher):
    """Its workers write the last epoch of a probe, and only say that the run has ended.

    That is what a driver sees if the worker of a driver that died was still writing that epoch when
    the next worker began.
    """

    def wait(self, timeout: float) -> list[Event]:
        events = super().wait(timeout)
        for event in events:
            if isinstance(event, EpochEnded) and event.report["epoch"] == 6:
                super().answer(event.slot, go_on=True)
        return [e for e in events if not isinstance(e, EpochEnded) or e.report["epoch"] != 6]


def test_a_last_epoch_that_no_event_reported_can_be_the_best(tmp_path: Path) -> None:
    config = study(tmp_path, trials=1, search={"queue": ["good"]})
    Driver(config, LateWorker(), NoMirror(config), ProgressDisplay()).run()
    probe = read_record(config.paths.run_dir(0, "probe"))
    assert (probe.epochs_made, probe.best_epoch) == (6, 6)


# -- the time that a killed call spent


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def run_of(config: StudyConfig, began: float) -> ActiveRun:
    record = TrialRecord(trial=0, stage="probe", schedule="good", params={}, epochs=6)
    return ActiveRun(record, Path(), config.train_config("probe", config.search.schedule(
        config.search.schedules["good"], 6)), {}, began=began)  # fmt: skip


def test_the_time_of_a_killed_call_counts_in_the_next_one(tmp_path: Path) -> None:
    config = study(tmp_path, hours=1.0, device_hours=1.0)
    config.paths.folder.mkdir(parents=True)
    first, clock = Clock(), Clock()
    spending = Spending(config, first)
    told: list[str] = []
    spending.take_over(told.append)
    assert told == []
    first.now += 1800
    spending.save([run_of(config, first.now - 600)])

    clock.now = 5.0  # another boot
    second = Spending(config, clock)
    second.take_over(told.append)
    assert "30 min" in told[0]
    assert second.left == 1800
    clock.now += 100
    assert second.left == 1700
    second.save([])
    third = Spending(config, clock)
    third.take_over(told.append)
    assert third.left == 1700
    third.epoch_seconds.extend([100.0] * 10)
    assert third.fits(16, [])
    assert not third.fits(18, [])
    second.forget()
    fourth = Spending(config, clock)
    fourth.take_over(told.append)
    assert len(told) == 2
    assert fourth.left == 3600


def test_what_is_spent_is_written_once_a_second_however_many_epochs_end(tmp_path: Path) -> None:
    config = study(tmp_path, hours=1.0)
    config.paths.folder.mkdir(parents=True)
    clock, times = Clock(), set()
    spending = Spending(config, clock)
    for _ in range(40):
        spending.save([])
        times.add((config.paths.folder / SPENT).read_text())
        clock.now += 0.25
    assert len(times) == 10


def test_the_cost_of_a_large_study_is_forecast_a_hundredth_of_the_time(tmp_path: Path) -> None:
    """Each look at the clock takes a second here, and so does a forecast."""
    seconds = itertools.count(1000.0)
    forecasts = []
    for trials in (400, 600):
        spending = Spending(study(tmp_path, trials=trials), lambda: next(seconds))
        spending.epoch_seconds.append(2.0)
        found = []
        for _ in range(90):
            spending.epoch_seconds.append(2.0)  # so each forecast draws other random numbers
            found.append(str(spending.latest_forecast({}, 1)))
        forecasts.append(len(set(found)))
    assert forecasts[0] > 10
    assert forecasts[1] == 1


def test_device_hours_of_a_killed_call_count_too(tmp_path: Path) -> None:
    config = study(tmp_path, device_hours=1.0)
    config.paths.folder.mkdir(parents=True)
    clock = Clock()
    spending = Spending(config, clock)
    clock.now += 3000
    spending.save([run_of(config, 1000.0)])
    again = Spending(config, clock)
    again.take_over(print)
    again.epoch_seconds.extend([10.0] * 10)
    assert again.fits(50, [])
    assert not again.fits(70, [])


def test_a_pause_does_not_count(tmp_path: Path) -> None:
    config, clock = study(tmp_path, hours=1.0), Clock()
    spending = Spending(config, clock)
    clock.now += 600
    spending.hold(500)
    assert spending.left == 3500


def test_a_call_that_ended_as_asked_leaves_nothing_to_count_and_an_error_does(
    tmp_path: Path,
) -> None:
    config = study(tmp_path)
    inject_faults(config, **{"raise": {f"{trial:04d}/probe": 2 for trial in range(1)}})
    drive(config)
    spent = config.paths.folder / SPENT
    assert not spent.exists()

    class Full(ProgressDisplay):
        def ended(self, record: TrialRecord) -> None:
            raise UvtexError("no space left on device")

    more = config.model_copy(update={"trials": config.trials + 1})
    launcher = InlineLauncher()
    with pytest.raises(UvtexError, match="no space left"):
        Driver(more, launcher, NoMirror(more), Full()).run()
    assert spent.exists()
    drive(more)
    assert not spent.exists()
