"""``uvtex``: one command line to make data sets, train, evaluate, and predict textures."""

from __future__ import annotations

import click

from uvtex.cli.data import data
from uvtex.cli.evaluate import evaluate
from uvtex.cli.grid import grid
from uvtex.cli.infer import infer
from uvtex.cli.showroom import showroom
from uvtex.cli.snapshots import snapshots
from uvtex.cli.train import train
from uvtex.console import CleanErrorGroup


@click.group(cls=CleanErrorGroup)
@click.version_option(package_name="uvtex-sweep")
def main() -> None:
    """Predict the UV texture of a race car's livery from showroom pictures.

    \b
    Example:
      uvtex showroom build data/demo --size 64 --cameras 12 --liveries 60
      uvtex train data/demo --preset atlas --image-size 64 --epochs 20
      uvtex infer runs/best/checkpoints/best.safetensors photo.jpg --out textures
    """


for command in (showroom, data, train, evaluate, grid, infer, snapshots):
    main.add_command(command)
