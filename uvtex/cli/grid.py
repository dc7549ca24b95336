"""``uvtex grid``: pictures that show a checkpoint's results beside the truth."""

from __future__ import annotations

from pathlib import Path

import click

from uvtex.console import PATH, CleanErrorCommand
from uvtex.output import echo


@click.command(cls=CleanErrorCommand)
@click.argument("checkpoint")
@click.option("--data", type=PATH, required=True, help="Folder of the data set.")
@click.option("--out", type=PATH, required=True, help="Folder for the grids.")
@click.option("--count", type=click.IntRange(min=1), default=12, help="Number of grids to write.")
def grid(checkpoint: str, data: Path, out: Path, count: int) -> None:
    """Write pictures of validation views with input, prediction and truth side by side.

    CHECKPOINT is a file, or models:/uvtex@champion for the registered one.

    \b
    Example:
      uvtex grid runs/best/checkpoints/best.safetensors --data data/demo --out grids
    """
    from uvtex.evaluation.grids import write_grids
    from uvtex.inference.infer import locate

    for file in write_grids(locate(checkpoint), data, out, count):
        echo(str(file))
