"""The commands that start and watch a study: ``sweep run`` and ``sweep status``."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TextIO

import click

from sweep.cli.options import STORE
from sweep.study.folder import UNFINISHED, store_option, study_names, tracking_uri
from sweep.study.urls import masked
from uvtex.console import JSON, PATH, CleanErrorCommand, FiniteRange, print_table
from uvtex.garbage import uncollected
from uvtex.output import echo, stdout

LATEST = 100
"""So many runs `sweep status` shows at least."""

HOURS = FiniteRange(0, min_open=True)
"""A budget of time."""

if TYPE_CHECKING:
    from sweep.study.config import StudyConfig
    from sweep.study.run_index import IndexedRun
    from sweep.study.summary_record import Summary


@click.command(cls=CleanErrorCommand)
@click.argument("config", type=PATH)
@click.option(
    "--trials", type=click.IntRange(1), help="Number of probes, including those of earlier runs."
)
@click.option("--hours", type=HOURS, help="Time budget: start no run that would end later.")
@click.option("--device-hours", type=HOURS, help="The same, as a sum over all devices.")
@click.option(
    "--workers", type=click.IntRange(1), help="Number of worker processes (default: one a GPU)."
)
@click.option("--retry-failed", is_flag=True, help="Go on with the runs that failed, too.")
@click.option(
    "--dry-run", is_flag=True, help="Check, save and print the settings, and run nothing."
)
@JSON
def run(
    config: Path,
    trials: int | None,
    hours: float | None,
    device_hours: float | None,
    workers: int | None,
    retry_failed: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Run the study in the file CONFIG, or resume it.

    Ctrl-C stops the study after the epochs in progress, and so does a closed terminal. A second
    Ctrl-C stops it at once. The same command resumes the study.

    \b
    Example: sweep run configs/quickstart.yaml --workers 2
    """
    from sweep.driving import session
    from sweep.driving.disk_space.room import disk_forecast
    from sweep.study.file import load
    from uvtex.settings import dump_yaml

    flags = {
        "trials": trials,
        "hours": hours,
        "device_hours": device_hours,
        "workers": workers,
    }
    study = load(config, flags)
    if dry_run:
        not_saved = session.rehearse(study)
        text = json.dumps(study.model_dump(mode="json"), indent=1) if as_json else dump_yaml(study)
        echo(text)
        echo(disk_forecast(study), err=True)
        if not_saved:
            echo(not_saved, err=True)
        return
    out = sys.stderr if as_json else stdout()
    set_flags = {flag.replace("_", "-"): value for flag, value in flags.items()}
    given = [f"--{flag}={value:g}" for flag, value in set_flags.items() if value is not None]
    again = shlex.join(["sweep", "run", str(config), *given])
    try:
        outcome, summary = session.run(study, out, retry_failed)
    except KeyboardInterrupt:  # before the first run, or after the last
        _stopped(again, out)
    if as_json:
        echo(json.dumps(summary.to_dict(), indent=1))
    else:
        _print_summary(summary)
        _print_where(study, summary)
    if outcome == "out of time":
        click.echo(f"Time is up. To resume: {again}", file=out)
    if outcome == "disk nearly full":
        click.echo(f"When there is space again: {again}", file=out)
        sys.exit(1)
    if outcome == "interrupted":
        _stopped(again, out)
    if summary.probes.get("failed") or summary.full_runs.get("failed"):
        click.echo(f"To go on with the runs that failed: {again} --retry-failed", file=out)
    if summary.all_failed:
        sys.exit(1)


@click.command(cls=CleanErrorCommand)
@click.argument("study", required=False)
@STORE
@click.option("--all", "show_all", is_flag=True, help="Show every run, however many there are.")
@JSON
@uncollected()
def status(study: str | None, store: Path, show_all: bool, as_json: bool) -> None:
    """Show the runs of STUDY, or list all studies.

    \b
    Example: sweep status quickstart
    """
    from sweep.driving import session
    from sweep.driving.disk_space.room import disk_forecast
    from sweep.driving.mending import damage

    if study is None:
        _print_studies(study_names(store), as_json)
        return
    from sweep.report.summary import summarise
    from sweep.study.run_index import indexed_runs

    found = session.saved(store, study)
    runs, whole = indexed_runs(found)
    view, summary = _status(found, runs), summarise(found, runs)
    damaged = [] if whole else damage(found.paths)
    if as_json:
        out = {**view, "damaged": damaged, "summary": summary.to_dict()}
        echo(json.dumps(out, indent=1))
        return
    echo(f"study {study}: {view['driver']}")
    for problem in damaged:
        echo(f"damaged: {problem}")
    if not summary.over and any(run.record.ended for run in runs):
        echo(disk_forecast(found, [run.record for run in runs]))
    header = ["trial", "schedule", "state", "epochs", "test margin", "validation margin", "reason"]
    shown = view["runs"] if show_all else _latest(view["runs"])
    if (left_out := len(view["runs"]) - len(shown)) > 0:
        echo(f"{left_out} runs that ended earlier are left out; --all shows them")
    print_table(header, [[str(run[key]) for key in header] for run in shown])
    _print_summary(summary)


def _latest(runs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Those that have not ended, and the latest of the others."""
    going_on = [run for run in runs[:-LATEST] if run["state"] in UNFINISHED]
    return [*going_on, *runs[-LATEST:]]


def _stopped(again: str, out: TextIO) -> NoReturn:
    click.echo(f"Stopped. To resume: {again}", file=out)
    sys.exit(130)


def _status(study: StudyConfig, indexed: Sequence[IndexedRun]) -> dict[str, Any]:
    from sweep.study.lease import driver
    from sweep.study.requests import read_request
    from uvtex.runs.test_figures import read_test_figures
    from uvtex.thresholds import margin

    driven_by = driver(study.paths)
    runs = []
    for run in indexed:
        record = run.record
        full = record.stage == "full"
        tested = read_test_figures(study.paths.run_dir(*record.key)) if full else None
        runs.append(
            {
                "trial": f"{record.trial:04d}/{record.name}",
                "schedule": record.schedule,
                "state": record.state,
                "epochs": f"{len(run.epochs)}/{record.epochs}",
                "test margin": "-"
                if tested is None
                else f"{margin(tested.metrics, study.thresholds):+.4f}",
                "validation margin": f"{run.margin:+.4f}" if run.epochs else "-",
                "reason": record.reason or "",
            }
        )
    told = "no driver is running"
    if driven_by is not None:
        told = f"driven by {driven_by}"
        if (request := read_request(study.paths)) is not None:
            stopping = "pausing" if request.ask == "pause" else "stopping"
            at_rest = all(run["state"] != "running" for run in runs)
            doing = "paused" if at_rest and request.ask == "pause" else stopping
            told += f"; {doing}, asked at {request.since}"
            if request.ask == "pause":
                told += f"; to go on: {study.paths.command('resume')}"
    return {"driver": told, "runs": runs}


def _print_studies(names: list[str], as_json: bool) -> None:
    if as_json:
        echo(json.dumps(names))
    elif names:
        echo("\n".join(names))
    else:
        echo("There is no study yet. To start one: sweep run configs/quickstart.yaml")


def _print_summary(summary: Summary) -> None:
    from sweep.decisions.stopping.told import sentences
    from sweep.report.summary import sides, table, verdict

    for name, states in (("probes", summary.probes), ("full runs", summary.full_runs)):
        counts = ", ".join(f"{count} {state}" for state, count in states.items())
        echo(f"{name}: {counts or 'none'}")
    header, rows = table(summary)
    print_table(header, rows)
    if rows:
        echo(sides(summary))
    if summary.pruning is not None:
        echo(" ".join(sentences(summary.pruning)))
    if summary.ending is not None:
        echo(summary.ending)
    echo(verdict(summary))


def _print_where(study: StudyConfig, summary: Summary) -> None:
    if summary.report:
        echo(f"report: {summary.report}")
    own = study.tracking_uri == tracking_uri(study.store)
    pages = shlex.join(["sweep", "ui", *store_option(study.store)]) if own else study.tracking_uri
    echo(f"MLflow: {masked(pages)}")
