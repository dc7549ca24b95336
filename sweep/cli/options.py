"""Options that several commands of ``sweep`` share."""

from __future__ import annotations

import click

from sweep.study.folder import DEFAULT_STORE
from uvtex.console import TypedPath

STORE = click.option(
    "--store",
    type=TypedPath(file_okay=False),
    default=DEFAULT_STORE,
    help="Folder that holds the studies.",
)
