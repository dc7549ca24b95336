"""What an epoch and a trial cost Optuna's database and MLflow's, and what readers of them add.

    python -m benchmarks.databases

Optuna: a trial is asked, six epochs are reported, it is told. The database is SQLite in its default
mode, SQLite with a write-ahead log, and PostgreSQL, without fsync, where its programs are
installed. Meanwhile no reader, or some that read all trials without a pause, each in a process of
its own.

MLflow: an epoch's metrics are logged in one batch, to a SQLite file, to a server on one, and to a
server on PostgreSQL, both over loopback. Meanwhile no reader, or some that ask for the page of
runs as MLflow's user interface does.

Milliseconds: median and 95th percentile over calls. "ratio" is that of the median to the first line
of its table.
"""

from __future__ import annotations

import multiprocessing
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from functools import partial
from multiprocessing.synchronize import Event
from pathlib import Path

import click
import numpy as np
import optuna
from mlflow import MlflowClient
from mlflow.entities import Metric, ViewType

from sweep.study.database import BUSY_SECONDS, sqlite_url
from sweep.tracking.client import client
from tests.postgres import programs, running_postgres
from tests.sweep.tracking.mlflow_server import running_server
from uvtex.console import CleanErrorCommand

EPOCHS = 6
PARAMETERS = 10
METRICS = 42
"""Numbers that MLflow gets of one epoch."""


def open_optuna(url: str) -> optuna.Study:
    """The study of the benchmark, made if it is missing."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    options = {"connect_args": {"timeout": BUSY_SECONDS}} if url.startswith("sqlite") else {}
    storage = optuna.storages.RDBStorage(url, engine_kwargs=options)
    sampler = optuna.samplers.RandomSampler(seed=0)
    return optuna.create_study(
        storage=storage, study_name="study", load_if_exists=True, sampler=sampler
    )


def read_optuna(url: str, end: Event) -> None:
    """A reader: all trials, again and again."""
    study = open_optuna(url)
    while not end.is_set():
        study.get_trials(deepcopy=False)


def read_mlflow(uri: str, end: Event) -> None:
    """A reader: the first page of runs, again and again."""
    reader = client(uri)
    experiment = reader.get_experiment_by_name("study")
    while not end.is_set():
        reader.search_runs([experiment.experiment_id], run_view_type=ViewType.ALL, max_results=100)


@contextmanager
def reading(reader: Callable[[str, Event], None], url: str, count: int) -> Iterator[None]:
    """Readers in processes of their own, during a ``with``."""
    context = multiprocessing.get_context("spawn")
    end = context.Event()
    readers = [context.Process(target=reader, args=(url, end)) for _ in range(count)]
    for one in readers:
        one.start()
    time.sleep(15.0 if readers else 0.0)  # their start is not measured
    try:
        yield
    finally:
        end.set()
        for one in readers:
            one.join()


def timed(action: Callable[[], object], into: list[float]) -> None:
    began = time.perf_counter()
    action()
    into.append(1000 * (time.perf_counter() - began))


def optuna_calls(url: str, trials: int) -> dict[str, list[float]]:
    """Milliseconds of each call of ``trials`` trials."""
    study = open_optuna(url)
    space = {f"p{i}": optuna.distributions.FloatDistribution(0, 1) for i in range(PARAMETERS)}
    taken: dict[str, list[float]] = {"ask": [], "report": [], "tell": []}
    for _ in range(trials):
        asked: list[optuna.Trial] = []
        timed(lambda asked=asked: asked.append(study.ask(space)), taken["ask"])
        for epoch in range(1, EPOCHS + 1):
            timed(partial(asked[0].report, 0.5, epoch), taken["report"])
        timed(partial(study.tell, asked[0], 0.5), taken["tell"])
    return taken


def mlflow_calls(uri: str, trials: int) -> dict[str, list[float]]:
    """Milliseconds of each call of ``trials`` runs."""
    writer: MlflowClient = client(uri)
    found = writer.get_experiment_by_name("study")
    experiment = found.experiment_id if found else writer.create_experiment("study")
    taken: dict[str, list[float]] = {"create run": [], "log epoch": []}
    for _ in range(trials):
        made: list[str] = []
        timed(
            lambda made=made: made.append(writer.create_run(experiment).info.run_id),
            taken["create run"],
        )
        for epoch in range(1, EPOCHS + 1):
            batch = [Metric(f"val/m{i}", 0.5, 0, epoch) for i in range(METRICS)]
            timed(partial(writer.log_batch, made[0], metrics=batch), taken["log epoch"])
        writer.set_terminated(made[0])
    return taken


def measure(
    title: str,
    urls: Mapping[str, str],
    calls: Callable[[str, int], dict[str, list[float]]],
    reader: Callable[[str, Event], None],
    first: int,
    trials: int,
    counts: Sequence[int],
) -> None:
    """Measures each database beside each number of readers, and prints the table.

    Args:
        first: trials that are made in a database before it is measured.
    """
    rows = []
    for name, url in urls.items():
        calls(url, first)
        for count in counts:
            with reading(reader, url, count):
                rows.append((name, count, calls(url, trials)))
    click.echo(f"\n{title}\n")
    show(rows)


def show(rows: list[tuple[str, int, dict[str, list[float]]]]) -> None:
    """Prints a table: a line for each database, number of readers, and call."""
    first: dict[str, float] = {}
    click.echo("| database | readers | call | calls | median ms | 95 % ms | ratio |")
    click.echo("| --- | --- | --- | --- | --- | --- | --- |")
    for name, readers, taken in rows:
        for call, values in taken.items():
            median, high = np.percentile(values, [50, 95])
            ratio = median / first.setdefault(call, median)
            click.echo(
                f"| {name} | {readers} | {call} | {len(values)} | {median:.1f} | {high:.1f} "
                f"| {ratio:.2f} |"
            )


def sqlite_file(folder: Path, name: str, wal: bool) -> str:
    """The URL of a new SQLite database."""
    path = folder / f"{name}.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA journal_mode={'WAL' if wal else 'DELETE'}")
    return sqlite_url(path)


@click.command(cls=CleanErrorCommand, help=__doc__)
@click.option("--trials", default=40, type=click.IntRange(1), help="Trials of a line.")
@click.option("--readers", "most", default=4, type=click.IntRange(1), help="Most readers.")
def main(trials: int, most: int) -> None:
    counts = sorted({0, 1, most})
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        postgres = None
        if (found := programs()) is not None:
            postgres = stack.enter_context(running_postgres(found))
        else:
            click.echo("no PostgreSQL: its programs are not installed")
        urls = {
            "SQLite": sqlite_file(folder, "optuna", wal=False),
            "SQLite, write-ahead log": sqlite_file(folder, "optuna-wal", wal=True),
        }
        if postgres is not None:
            urls["PostgreSQL"] = postgres.database("optuna")
        measure("Optuna", urls, optuna_calls, read_optuna, 5, trials, counts)
        uris = {"SQLite": sqlite_url(folder / "mlflow.db")}
        uris["server on SQLite"] = stack.enter_context(
            running_server(sqlite_url(folder / "served.db"))
        )
        if postgres is not None:
            uris["server on PostgreSQL"] = stack.enter_context(
                running_server(postgres.database("mlflow"))
            )
        measure("MLflow", uris, mlflow_calls, read_mlflow, 2, trials, counts)


if __name__ == "__main__":
    main()
