"""The steps of a driver that resumes a study, and then trains some trials of it."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import partial

import click

from benchmarks.scale.made_study import curve
from benchmarks.scale.table import Table
from sweep.driving.active_run import ActiveRun
from sweep.driving.after_epoch import after_epoch
from sweep.driving.disk_space.room import disk_forecast
from sweep.driving.due_runs import Records
from sweep.driving.gate import RegistryGate
from sweep.driving.plan import Plan
from sweep.driving.recovery import recover
from sweep.driving.sampling.optuna_study import OptunaStudy
from sweep.driving.spending import Spending
from sweep.driving.stopping import Stopping
from sweep.study.config import StudyConfig
from sweep.tracking.mirror import MlflowMirror
from uvtex.runs.epochs import EpochReport, write_epochs


@dataclass
class Driver:
    """What a driver holds of a study."""

    config: StudyConfig
    trials: OptunaStudy
    stopping: Stopping
    spending: Spending
    records: Records
    plan: Plan


def restart(config: StudyConfig, table: Table) -> tuple[Driver, ActiveRun]:
    """A driver that takes a study over, and the first run that it plans."""
    told = table.measure("restart: forecast of the disk", lambda: disk_forecast(config))
    assert told
    trials = table.measure("restart: open Optuna's storage", lambda: OptunaStudy(config))
    stopping, spending = Stopping(config), Spending(config, time.monotonic)
    records, spending.epoch_seconds = table.measure(
        "restart: recover the records", lambda: recover(config, trials, stopping, 0.0, click.echo)
    )
    mirror = MlflowMirror(config, click.echo)  # nothing is told it, so it opens no store
    gate = RegistryGate(config, records, mirror, click.echo, lambda record, gate: None)
    plan = Plan(config, records, trials, stopping, spending, gate)
    table.measure("restart: forecast of the cost", lambda: spending.forecast(records, 1))
    run = table.measure("restart: the first ask", lambda: _planned(plan))
    return Driver(config, trials, stopping, spending, records, plan), run


def measure_driver(config: StudyConfig, table: Table, repeats: int) -> None:
    """A resumed driver: what it does at its start, and then for each trial."""
    driver, run = table.measure("restart, to the first ask", lambda: restart(config, table))
    for _ in range(repeats):
        run.update(state="running")
        driver.records[run.record.key] = run.record
        for report in curve(config, run.record.trial, run.record.params):
            table.measure("driver: an epoch", partial(_epoch, driver, run, report))
            table.measure("Optuna's thread: report an epoch", driver.trials.flush)
        write_epochs(run.run_dir, list(run.reports.values()))
        table.measure("driver: the end of a trial", partial(_end, driver, run))
        table.measure("Optuna's thread: tell", driver.trials.flush)
        table.measure("driver: the sentence on the cost", partial(_forecast, driver))
        run = table.measure("ask, with the plan", partial(_planned, driver.plan))
    driver.trials.close()


def _planned(plan: Plan) -> ActiveRun:
    while (planned := plan.next([])) is None:
        assert plan.waiting
    return planned.run


def _epoch(driver: Driver, run: ActiveRun, report: EpochReport) -> None:
    """What the driver's loop does at an epoch, but for MLflow's queue and the terminal."""
    run.reports[report.epoch] = report
    driver.spending.epoch_seconds.append(report.seconds)
    _, found = after_epoch(driver.config, run, report, driver.stopping, interrupted=False)
    best = run.best
    run.update(best_epoch=best.epoch if best else None, **found)
    driver.records[run.record.key] = run.record
    driver.trials.report(run.record.trial, report)
    driver.spending.save([run])


def _end(driver: Driver, run: ActiveRun) -> None:
    """The same at the end of a trial."""
    run.catch_up()
    best = run.best
    assert best is not None
    run.update(state="complete", ended=time.time(), epochs_made=len(run.reports))
    driver.records[run.record.key] = run.record
    driver.trials.tell(run.record, best.val)
    driver.stopping.learn(run)


def _forecast(driver: Driver) -> None:
    driver.spending.forecast(driver.records, 1)
