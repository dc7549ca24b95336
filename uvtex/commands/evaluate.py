"""``uvtex evaluate``."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from uvtex.commands.options import DEVICE, JSON

HEADLINE = (
    "ssim_uv",
    "ssim_uv_visible",
    "l1_uv_visible",
    "ssim_view",
    "haarpsi_view",
    "lpips_view",
    "ssim_view_true",
    "ssim_view_noisy",
)


@click.command()
@click.argument("checkpoints", nargs=-1, required=True)
@click.option("--data", type=click.Path(path_type=Path), required=True, help="Data set folder.")
@DEVICE
@JSON
def evaluate(checkpoints: tuple[str, ...], data: Path, device: str | None, as_json: bool) -> None:
    """Metrics of each CHECKPOINT on the validation side of a data set, a row a checkpoint.

    The table shows the headline metrics; --json holds all of them. The last row is what a texture
    of the true one's mean colour scores: a model below it has learnt nothing of use.

    \b
    Example:
      uvtex evaluate runs/*/checkpoints/best.safetensors --data data/demo
    """
    from uvtex.checkpoint import read_config
    from uvtex.evaluate import evaluate as measure
    from uvtex.evaluate import mean_colour
    from uvtex.infer import locate

    files = {name: locate(name) for name in checkpoints}
    rows = {name: measure(file, data, device or "auto") for name, file in files.items()}
    rows["(a texture of its mean colour)"] = mean_colour(data, read_config(files[checkpoints[0]]))
    if as_json:
        click.echo(json.dumps(rows))
        return
    from rich.console import Console
    from rich.table import Table

    found = {metric for row in rows.values() for metric in row}
    columns = [name for name in HEADLINE if name in found]
    table = Table("checkpoint", *columns)
    for name, row in rows.items():
        table.add_row(name, *(f"{row[c]:.4f}" if c in row else "-" for c in columns))
    Console(width=None if sys.stdout.isatty() else 200).print(table)
    if "lpips_view" not in found:
        click.echo("LPIPS is absent: its backbone is not to be had here (see the README)", err=True)
