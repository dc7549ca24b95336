"""The commands that ask a running study: ``sweep pause``, ``sweep resume`` and ``sweep stop``."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import click

from sweep.cli.options import STORE
from sweep.study.folder import StudyFolder
from sweep.study.lease import driver
from sweep.study.requests import Request, withdraw_request, write_request
from uvtex.console import CleanErrorCommand
from uvtex.errors import UvtexError
from uvtex.output import echo


@click.command(cls=CleanErrorCommand)
@click.argument("study")
@STORE
def pause(study: str, store: Path) -> None:
    """Pause STUDY: its runs end after their epoch, and nothing starts until `sweep resume`.

    Its driver goes on waiting, but the workers end, so their memory and their devices are free. The
    time does not count towards the limits of the study.

    \b
    Example: sweep pause quickstart
    """
    paths = _driven(store, study)
    write_request(paths, Request(ask="pause", since=_now()))
    echo(f"{study} pauses after the epochs in progress; to go on: {paths.command('resume')}")


@click.command(cls=CleanErrorCommand)
@click.argument("study")
@STORE
def resume(study: str, store: Path) -> None:
    """Let STUDY go on after `sweep pause`.

    \b
    Example: sweep resume quickstart
    """
    withdraw_request(_driven(store, study))
    echo(f"{study} goes on")


@click.command(cls=CleanErrorCommand)
@click.argument("study")
@click.option("--now", is_flag=True, help="Do not wait for the end of the epochs in progress.")
@STORE
def stop(study: str, now: bool, store: Path) -> None:
    """Stop STUDY after the epochs in progress, as Ctrl-C in its terminal does.

    `sweep run` with the study's file resumes it.

    \b
    Example: sweep stop quickstart
    """
    request = Request(ask="stop now" if now else "stop", since=_now())
    write_request(_driven(store, study), request)
    echo(f"{study} stops " + ("at once" if now else "after the epochs in progress"))


def _driven(store: Path, study: str) -> StudyFolder:
    """The paths of a study that a driver runs.

    Raises:
        UvtexError: there is no such study, or no driver runs it.
    """
    from sweep.driving import session

    paths = session.saved(store, study).paths
    if driver(paths) is None:
        raise UvtexError(
            f"study {study!r}: no driver is running; `sweep run` with the study's file starts one"
        )
    return paths


def _now() -> str:
    return datetime.now().astimezone().isoformat(timespec="seconds")
