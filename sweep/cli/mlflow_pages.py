"""The commands that fill and serve MLflow's pages: ``sweep sync`` and ``sweep ui``."""

from __future__ import annotations

import json
from pathlib import Path

import click

from sweep.cli.options import STORE
from sweep.study.folder import study_names, tracking_uri
from uvtex.console import JSON, CleanErrorCommand
from uvtex.errors import UvtexError
from uvtex.output import echo


@click.command(cls=CleanErrorCommand)
@click.argument("study")
@STORE
@click.option("--uri", help="MLflow's tracking URI (default: the study's).")
@JSON
def sync(study: str, store: Path, uri: str | None, as_json: bool) -> None:
    """Add to MLflow what it lacks of STUDY: runs, registered versions, the champion's history.

    The registry is also asked about full runs on which `sweep run` got no answer. With --uri, the
    study is copied into another MLflow, such as a team's server.

    \b
    Example: sweep sync quickstart
    """
    from sweep.driving import session
    from sweep.driving.syncing import sync as sync_study

    done = sync_study(session.saved(store, study), uri, lambda text: echo(text, err=as_json))
    if as_json:
        echo(json.dumps({"runs": done.runs, "versions": len(done.versions)}))
        return
    registered = f", {len(done.versions)} versions registered" if done.versions else ""
    echo(f"{study}: {done.runs} runs synced{registered}")


@click.command(cls=CleanErrorCommand)
@STORE
@click.option("--port", type=click.IntRange(0, 65535), default=5000, help="Port; 0: any free one.")
@click.option(
    "--host",
    default="127.0.0.1",
    help="Address to listen on. With another than the default, other machines reach MLflow, which "
    "has no login by default.",
)
@click.option("--uri", help="MLflow's tracking URI (default: the store's).")
def ui(store: Path, port: int, host: str, uri: str | None) -> None:
    """Serve MLflow's pages for the store on this machine, until Ctrl-C.

    \b
    Example: sweep ui --port 5001
    """
    from sweep.tracking.pages import serve_ui

    if uri is None:
        for problem in _show_interrupted(store):
            echo(f"warning: {problem}", err=True)
    serve_ui(uri or tracking_uri(store), port, host)


def _show_interrupted(store: Path) -> list[str]:
    """Ends what MLflow still shows as running although no driver runs it; returns the problems."""
    from sweep.driving import session
    from sweep.tracking.sync import show_interrupted

    problems = []
    for name in study_names(store):
        try:
            study = session.saved(store, name)
            if study.tracking_uri == tracking_uri(store):
                show_interrupted(study)
        except UvtexError as error:
            problems.append(str(error))
    return problems
