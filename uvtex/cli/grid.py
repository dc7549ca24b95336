"""``uvtex grid``."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("checkpoint")
@click.option("--data", type=click.Path(path_type=Path), required=True, help="Data set folder.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder for the grids.")
@click.option("--count", type=click.IntRange(min=1), default=12, help="Samples.")
def grid(checkpoint: str, data: Path, out: Path, count: int) -> None:
    """Labelled grids of validation samples: what goes in, what comes out, what is true.

    \b
    Example:
      uvtex grid runs/best/checkpoints/best.safetensors --data data/demo --out grids
    """
    from uvtex.evaluation.grids import write_grids
    from uvtex.inference.infer import locate

    for file in write_grids(locate(checkpoint), data, out, count):
        click.echo(str(file))
