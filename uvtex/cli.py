"""``uvtex``: render a data set, train, evaluate, look, and use."""

from __future__ import annotations

import click

from uvtex.commands.evaluate import evaluate
from uvtex.commands.grid import grid
from uvtex.commands.infer import infer
from uvtex.commands.showroom import showroom
from uvtex.commands.snapshots import snapshots
from uvtex.commands.train import train
from uvtex.console import CONTEXT, Group
from uvtex.data.cli import data


@click.group(cls=Group, context_settings=CONTEXT)
@click.version_option(package_name="uvtex-sweep")
def main() -> None:
    """Livery UV textures from showroom pictures.

    \b
    Example:
      uvtex showroom build data/demo --size 64 --cameras 12 --liveries 60
      uvtex train data/demo --preset atlas --image-size 64 --epochs 20
      uvtex infer runs/best/checkpoints/best.safetensors photo.jpg --out textures
    """


for command in (showroom, data, train, evaluate, grid, infer, snapshots):
    main.add_command(command)
