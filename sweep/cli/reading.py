"""The commands that read what runs left behind: ``sweep compare`` and ``sweep report``."""

from __future__ import annotations

import json
from pathlib import Path

import click

from sweep.cli.options import STORE
from sweep.study.folder import tracking_uri
from uvtex.console import JSON, CleanErrorCommand
from uvtex.output import echo


@click.command(cls=CleanErrorCommand)
@click.argument("runs", nargs=-1, required=True)
@STORE
@click.option("--uri", help="MLflow's tracking URI (default: the store's).")
@JSON
def compare(runs: tuple[str, ...], store: Path, uri: str | None, as_json: bool) -> None:
    """Compare the schedules and metrics of RUNs.

    A RUN is STUDY/7 (its full run if there is one, else its probe), STUDY/7/probe, a trial
    directory, or an MLflow run id.

    \b
    Example: sweep compare quickstart/0 quickstart/7
    """
    from sweep.report.comparison import compare as compare_runs

    result = compare_runs(runs, uri or tracking_uri(store), store)
    echo(json.dumps(result.to_dict(), indent=1) if as_json else str(result))


@click.command(cls=CleanErrorCommand)
@click.argument("study")
@STORE
@JSON
def report(study: str, store: Path, as_json: bool) -> None:
    """Write the report of STUDY as one self-contained HTML file.

    \b
    Example: sweep report quickstart
    """
    from sweep.driving import session
    from sweep.driving.mending import damage
    from sweep.report.build import write_report

    found = session.saved(store, study)
    for problem in damage(found.paths):
        echo(f"warning: left out or not whole: {problem}", err=True)
    path = write_report(found)
    echo(json.dumps({"report": str(path)}) if as_json else str(path))
