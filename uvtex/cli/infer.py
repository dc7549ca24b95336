"""``uvtex infer``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from uvtex.console import DEVICE, JSON

if TYPE_CHECKING:
    from uvtex.inference.infer import Inferred

LARGEST = 16384
"""Pixels a side of a texture: beyond it livery editors and Pillow give up."""


@click.command()
@click.argument("checkpoint")
@click.argument("photos", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder for results.")
@click.option(
    "--mask",
    type=click.Path(path_type=Path, exists=True),
    help="White where the car is: a picture, or a folder of them by the photos' names.",
)
@click.option("--whole", is_flag=True, help="Never crop: show the network the whole photo.")
@click.option(
    "--texture-size",
    type=click.IntRange(16, LARGEST),
    help="Side of the texture written, resampled from the network's; that one by default.",
)
@DEVICE
@JSON
def infer(
    checkpoint: str,
    photos: tuple[Path, ...],
    out: Path,
    mask: Path | None,
    whole: bool,
    texture_size: int | None,
    device: str | None,
    as_json: bool,
) -> None:
    """The UV texture of each of PHOTOS, its reprojection, and what was done to get them.

    CHECKPOINT is a file, or models:/uvtex@champion for the registered one.

    Photos may be of any size, turned by EXIF, transparent or 16-bit. They become square by padding
    with their border's colour, never by stretching. Where the car is larger, smaller or further off
    the middle than in training, the photo is cropped or padded around it. Where the car is says
    --mask, else the photo's own transparency, else a guess that holds before plain backdrops.

    Each photo gets NAME_uv.png (texture), NAME_reproj.png, NAME_view.png (what the network saw) and
    NAME_infer.json (every step, and warnings). --json prints those records.

    \b
    Example:
      uvtex infer models:/uvtex@champion photo.jpg --out textures
      uvtex infer best.safetensors photos/*.jpg --mask masks/ --texture-size 2048 --out textures
    """
    from uvtex.inference.infer import infer as run

    done = run(checkpoint, photos, out, device or "auto", mask, texture_size, whole)
    if as_json:
        click.echo(json.dumps([one.to_dict for one in done]))
        return
    for one in done:
        click.echo(_told(one))
        for warning in one.warnings:
            click.echo(f"  warning: {warning}", err=True)


def _told(one: Inferred) -> str:
    photo, record = one.photo, one.to_dict
    width, height = photo.upright
    turned = ", turned upright" if photo.facts.orientation != 1 else ""
    texture = record["texture"]
    resampled = f", resampled to {texture['size']}" if texture["resampled"] else ""
    if photo.cropped:
        left, top, right, bottom = (round(edge) for edge in record["square"])
        shown = f"the square ({left}, {top}) to ({right}, {bottom}) of it"
    else:
        shown = "the whole of it"
    padding = f", {photo.padding:.0%} of that padding" if photo.padding >= 0.005 else ""
    return "\n".join(
        (
            f"{photo.path}: {width}x{height}{turned}; car {photo.mask.share:.0%} by "
            f"{photo.mask.source}",
            f"  shown: {shown}{padding}, at {record['view_size']} px; texture "
            f"{texture['network_size']} px{resampled}",
            f"  {one.files['texture']}",
        )
    )
