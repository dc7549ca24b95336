"""What a study of thousands of trials costs its driver and its readers.

    python -m benchmarks.scale /tmp/scale --trials 10000

makes a store with as many finished probes, each with its trial directory and its trial in Optuna's
storage. It measures a driver's restart and its steps for each trial, Optuna's own calls on the same
storage and in memory, and the commands that read the study. A folder that holds the store already
is used as it is.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import warnings
from functools import partial
from pathlib import Path

import click
import optuna

from benchmarks.scale.driver import measure_driver
from benchmarks.scale.made_study import make, study
from benchmarks.scale.table import Table
from sweep.driving.sampling.optuna_storage import open_storage
from sweep.driving.sampling.samplers import sampler
from sweep.study.config import StudyConfig
from sweep.study.database import sqlite_url
from sweep.study.search.distributions import distributions


def measure_optuna(config: StudyConfig, table: Table, repeats: int) -> None:
    """The same asks and tells by Optuna alone, with the same sampler: on a copy of the storage, and
    in memory. It sees all trials."""
    copy = config.paths.store / "optuna-alone.db"
    shutil.copy(config.paths.optuna, copy)
    storage = open_storage(sqlite_url(copy))
    bare = table.measure(
        "Optuna alone: open", lambda: optuna.load_study(study_name=config.name, storage=storage)
    )
    trials = table.measure("Optuna alone: read all trials", lambda: bare.get_trials(deepcopy=False))
    in_memory = optuna.create_study(direction="maximize")
    in_memory.add_trials(trials)
    spaces = distributions(config.search)
    for index in range(repeats):
        search = config.search
        for one in (bare, in_memory):
            one.sampler = sampler(search.sampler, search.seed, search.startup_trials, index)
        memory = table.measure(
            "Optuna in memory: ask", lambda: in_memory.ask(fixed_distributions=spaces)
        )
        in_memory.tell(memory, 0.5)
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
                # The doctor's exit code says that it found something: no probe has a checkpoint.
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
