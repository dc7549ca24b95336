"""The ``sweep`` command line. Each command imports its heavy modules itself."""

from __future__ import annotations

import click

from sweep.cli.calibrate import calibrate
from sweep.cli.mlflow_pages import sync, ui
from sweep.cli.reading import compare, report
from sweep.cli.registry import champion, promote, rollback
from sweep.cli.requests import pause, resume, stop
from sweep.cli.run import run, status
from sweep.cli.upkeep import clean, doctor
from uvtex.console import CleanErrorGroup


@click.group(cls=CleanErrorGroup)
@click.version_option(package_name="uvtex-sweep")
def main() -> None:
    """Search for a training schedule that passes the promotion thresholds.

    \b
    Example: sweep run configs/quickstart.yaml
    """


for command in (
    run, status, pause, resume, stop, calibrate, compare, report, promote, champion, rollback, sync,
    ui, doctor, clean,
):  # fmt: skip
    main.add_command(command)
