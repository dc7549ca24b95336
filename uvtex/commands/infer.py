"""``uvtex infer``."""

from __future__ import annotations

from pathlib import Path

import click

from uvtex.commands.options import DEVICE


@click.command()
@click.argument("checkpoint")
@click.argument("photos", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder for results.")
@DEVICE
def infer(checkpoint: str, photos: tuple[Path, ...], out: Path, device: str | None) -> None:
    """The UV texture of each of PHOTOS, and its reprojection.

    CHECKPOINT is a file, or models:/uvtex@champion for the registered one.

    \b
    Example:
      uvtex infer models:/uvtex@champion photo.jpg --out textures
    """
    from uvtex.infer import infer as run

    for file in run(checkpoint, photos, out, device or "auto"):
        click.echo(str(file))
