"""What a study of thousands of trials costs its driver and its readers.

    python -m benchmarks.scale /tmp/scale --trials 10000

makes a store with as many finished probes, each with its trial directory and its trial in Optuna's
storage, and measures the driver's steps on it, Optuna's own on the same storage, and the commands
that read it. A folder that holds the store already is used as it is.
"""

from __future__ import annotations

import json
import math
import os
import resource
import shutil
import sqlite3
import statistics
import subprocess
import sys
import time
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

import click
import numpy as np
import optuna
from optuna.distributions import distribution_to_json
from optuna.trial import TrialState

from sweep.decisions import promotion
from sweep.driving.active_run import ActiveRun
from sweep.driving.after_epoch import after_epoch
from sweep.driving.disk_space.room import disk_forecast
from sweep.driving.due_runs import Records
from sweep.driving.gate import RegistryGate
from sweep.driving.plan import Plan
from sweep.driving.recovery import recover
from sweep.driving.sampling.optuna_storage import open_storage
from sweep.driving.sampling.optuna_study import OptunaStudy
from sweep.driving.sampling.samplers import sampler
from sweep.driving.spending import Spending
from sweep.driving.stopping import Stopping
from sweep.study.config import StudyConfig
from sweep.study.database import sqlite_url
from sweep.study.file import load
from sweep.study.folder import TrialRecord, write_record
from sweep.study.look import Flag, Forecast, Look
from sweep.study.search import space
from sweep.study.search.distributions import distributions
from sweep.tracking.mirror import MlflowMirror
from uvtex.config import TERMS
from uvtex.runs.epochs import EpochReport, write_epochs
from uvtex.settings import dump_yaml
from uvtex.thresholds import margin

EPOCHS = 6
T = TypeVar("T")
BEGAN = 1_700_000_000.0
STUDY = """\
name: scale
data: {path: data}
train: {image_size: 32, device: cpu}
stages: {probe: 6, full: 8}
thresholds:
- {metric: ssim_uv, at_least: 0.6}
- {metric: haarpsi_view, at_least: 0.3}
search: {queue: []}
grids: 0
"""


def study(folder: Path, trials: int) -> StudyConfig:
    """The benchmark's study, with its store in ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "study.yaml"
    path.write_text(STUDY + f"store: {folder / 'store'}\ntrials: {trials + 1000}\n")
    return load(path)


def is_flagged(number: int) -> bool:
    """One probe in five."""
    return number % 5 == 4


def is_audited(number: int) -> bool:
    """One flagged probe in ten."""
    return number % 50 == 4


def curve(config: StudyConfig, number: int, params: space.Params) -> list[EpochReport]:
    """Figures that approach an end, which the schedule decides. Flagged probes are stopped."""
    rng = np.random.default_rng(number)
    end = 0.52 - 0.5 * abs(float(params["direct_start"]) - 0.6) + 0.02 * rng.standard_normal()
    reports: list[EpochReport] = []
    for epoch in range(
        1, (EPOCHS // 2 if is_flagged(number) and not is_audited(number) else EPOCHS) + 1
    ):
        value = end * (1 - math.exp(-epoch)) + 0.002 * rng.standard_normal()
        names = ("ssim_uv", "ssim_uv_visible", "ssim_view", "ssim_view_true", "ssim_view_noisy")
        val = {**dict.fromkeys(names, value), "haarpsi_view": value / 2, "total": 1 - value}
        val["margin"] = margin(val, config.thresholds_of("probe"))
        best = val["margin"] > max((r.val["margin"] for r in reports), default=-math.inf)
        weights, train = dict.fromkeys(TERMS, 0.25), dict.fromkeys(TERMS, 1 - value)
        reports.append(EpochReport(epoch, weights, 1e-3, train, val, 2.0, 40, best))
    return reports


def make(config: StudyConfig, trials: int) -> None:
    """Writes the finished probes: their directories as the driver does, and Optuna's rows at once.

    Ten thousand trials by Optuna's own calls take half an hour. Its next call reads what is here.
    """
    os.fsync = lambda file: None  # this is no test of the disk
    spaces = distributions(config.search)
    storage = open_storage(config.optuna_url)
    random = sampler("random", 0, 0, 0)
    made = optuna.create_study(
        storage=storage, study_name=config.name, direction="maximize", sampler=random
    )
    blank = optuna.trial.create_trial(state=TrialState.RUNNING)
    storage.remove_session()
    storage.engine.dispose()
    rows: dict[str, list[tuple[object, ...]]] = defaultdict(list)
    for number in range(trials):
        params = {
            name: random.sample_independent(made, blank, name, of) for name, of in spaces.items()
        }
        reports = curve(config, number, params)
        best = max(reports, key=lambda report: report.val["margin"])
        forecast = Forecast(mean=-1.0, deviation=0.5)
        looks = tuple(
            Look(
                epoch=e, chance=0.02, forecast=forecast, fresh=0.1, reason="it is far from passing"
            )
            for e in range(2, len(reports))
        )
        flag = Flag(epoch=EPOCHS // 2, chance=0.02, share=0.1, audited=is_audited(number))
        record = TrialRecord(
            trial=number,
            stage="probe",
            state="pruned" if len(reports) < EPOCHS else "complete",
            schedule="search",
            params=params,
            epochs=EPOCHS,
            reason="stopped" if len(reports) < EPOCHS else "did not pass",
            best_epoch=best.epoch,
            looks=looks,
            flag=flag if is_flagged(number) else None,
            started=BEGAN + 60 * number,
            ended=BEGAN + 60 * number + 50,
        )
        run_dir = config.paths.run_dir(*record.key)
        write_record(run_dir, record)
        write_epochs(run_dir, reports)
        _add_rows(rows, config, record, reports, best)
    with closing(sqlite3.connect(config.paths.optuna)) as connection, connection:
        for table, values in rows.items():
            places = ", ".join("?" * len(values[0]))
            connection.executemany(f"INSERT INTO {table} VALUES ({places})", values)
    config.paths.settings.write_text(dump_yaml(config))


def _add_rows(
    rows: dict[str, list[tuple[object, ...]]],
    config: StudyConfig,
    record: TrialRecord,
    reports: list[EpochReport],
    best: EpochReport,
) -> None:
    """The rows of one trial, table by table. A first column None is a key that SQLite gives."""
    key = record.trial + 1
    state = "PRUNED" if record.state == "pruned" else "COMPLETE"
    times = ("2026-11-27 00:00:00.000000",) * 2
    last = best if state == "COMPLETE" else reports[-1]
    rows["trials"].append((key, record.trial, 1, state, *times))
    rows["trial_values"].append((None, key, 0, last.val["ssim_uv"], "FINITE"))
    rows["trial_user_attributes"].append((None, key, "margin", repr(best.val["margin"])))
    for name, value in promotion.constraints(best.val, config.thresholds_of("probe")).items():
        row = (None, key, f"constraints:{name}", repr(value))
        rows["trial_system_attributes"].append(row)
    for name, of in distributions(config.search).items():
        value = of.to_internal_repr(record.params[name])
        rows["trial_params"].append((None, key, name, value, distribution_to_json(of)))
    for report in reports:
        row = (None, key, report.epoch, report.val["ssim_uv"], "FINITE")
        rows["trial_intermediate_values"].append(row)


class Table:
    """Steps with their milliseconds of processor time, which other work on the machine hardly
    changes, and of wall time."""

    def __init__(self) -> None:
        self.rows: dict[str, list[tuple[float, float]]] = {}

    def measure(self, name: str, function: Callable[[], T]) -> T:
        began, before = time.perf_counter(), _processor_seconds()
        result = function()
        used, took = _processor_seconds() - before, time.perf_counter() - began
        self.rows.setdefault(name, []).append((1000 * used, 1000 * took))
        return result

    def lines(self) -> Iterator[str]:
        yield "| step | processor ms: median | least | most | wall ms: median | times |"
        yield "| --- | --- | --- | --- | --- | --- |"
        for name, values in self.rows.items():
            used, took = zip(*values, strict=True)
            figures = (statistics.median(used), min(used), max(used), statistics.median(took))
            yield f"| {name} | {' | '.join(f'{v:.0f}' for v in figures)} | {len(values)} |"


def _processor_seconds() -> float:
    """Of this process with all its threads, and of the processes that it has awaited."""
    own, others = (
        resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    return own.ru_utime + own.ru_stime + others.ru_utime + others.ru_stime


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


def measure_optuna(config: StudyConfig, table: Table, repeats: int) -> None:
    """The same asks and tells by Optuna alone, with the same sampler on a copy of the storage."""
    copy = config.paths.store / "optuna-alone.db"
    shutil.copy(config.paths.optuna, copy)
    storage = open_storage(sqlite_url(copy))
    bare = table.measure(
        "Optuna alone: open", lambda: optuna.load_study(study_name=config.name, storage=storage)
    )
    table.measure("Optuna alone: read all trials", lambda: bare.get_trials(deepcopy=False))
    spaces = distributions(config.search)
    for index in range(repeats):
        search = config.search
        bare.sampler = sampler(search.sampler, search.seed, search.startup_trials, index)
        trial = table.measure("Optuna alone: ask", lambda: bare.ask(fixed_distributions=spaces))
        table.measure("Optuna alone: report", partial(trial.report, 0.5, 1))
        table.measure("Optuna alone: tell", partial(bare.tell, trial, 0.5))
    storage.remove_session()
    storage.engine.dispose()


def measure_readers(config: StudyConfig, table: Table) -> None:
    """The commands that read a study, each in a process of its own, twice."""
    store = ["--store", str(config.paths.store)]
    name = config.name
    commands = {
        "sweep --help": ["--help"],
        "sweep status": ["status", name, *store],
        "sweep compare": ["compare", f"{name}/0", f"{name}/7", *store],
        "sweep report": ["report", name, *store],
        "sweep doctor": ["doctor", name, *store],
    }
    for title, arguments in commands.items():
        for time_of in ("first", "again"):
            command = [sys.executable, "-m", "sweep.cli", *arguments]
            table.measure(
                f"{title} ({time_of})",
                partial(
                    subprocess.run, command, check=title != "sweep doctor", capture_output=True
                ),
            )


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--trials", default=10_000, help="Finished probes in the store.")
@click.option("--repeats", default=10, help="Trials that are asked for, reported and told.")
@click.option("--only", type=click.Choice(["driver", "optuna", "readers"]))
@click.option("--json", "as_json", type=click.Path(path_type=Path), help="File for the figures.")
def main(folder: Path, trials: int, repeats: int, only: str | None, as_json: Path | None) -> None:
    """Make the store in FOLDER if it is missing, and measure on it."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
    config = study(folder, trials)
    if not config.paths.settings.is_file():
        make(config, trials)
    table = Table()
    if only in (None, "optuna"):
        measure_optuna(config, table, repeats)
    if only in (None, "readers"):
        measure_readers(config, table)
        size = config.paths.report.stat().st_size
        click.echo(f"the report has {size / 1e6:.1f} MB")
    if only in (None, "driver"):
        measure_driver(config, table, repeats)
    click.echo("\n".join(table.lines()))
    if as_json is not None:
        as_json.write_text(json.dumps(table.rows))


if __name__ == "__main__":
    main()
