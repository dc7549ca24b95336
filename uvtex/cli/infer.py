"""``uvtex infer``: photos in, UV textures out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from uvtex.console import CHECKPOINT, DEVICE, JSON, PATH, CleanErrorCommand, TypedPath
from uvtex.output import echo

if TYPE_CHECKING:
    from uvtex.inference.infer import Inferred

LARGEST = 16384
"""Largest side of a texture, in pixels. Livery editors and Pillow fail beyond it."""


@click.command(cls=CleanErrorCommand)
@click.argument("checkpoint", type=CHECKPOINT)
@click.argument("photos", nargs=-1, required=True, type=PATH)
@click.option("--out", type=PATH, required=True, help="Folder for the results.")
@click.option(
    "--mask",
    type=TypedPath(exists=True),
    help="Mask picture, white where the car is, or a folder of masks named like the photos; by "
    "default the mask is the photo's transparency, else a guess.",
)
@click.option(
    "--whole", is_flag=True, help="Show the network the whole photo instead of cropping to the car."
)
@click.option(
    "--texture-size",
    type=click.IntRange(16, LARGEST),
    help="Side of the texture file, in pixels; the network's own by default.",
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
    """Predict the UV texture of the car in each of PHOTOS.

    CHECKPOINT is a file, or models:/uvtex@champion for the registered one.

    A photo may have any size, an EXIF rotation, a colour profile, transparency or 16 bits. Its
    colours become sRGB; what cannot be converted gives a warning. It is padded to a square
    with the colour of its border and never stretched. If the car is larger, smaller or further from
    the middle than in training, the photo is cropped or padded around the car. The car's position
    comes from --mask, else from the photo's transparency, else from a guess that works on plain
    backgrounds.

    \b
    Each photo gets four files:
      NAME_uv.png      the predicted texture
      NAME_reproj.png  the texture rendered back into the view
      NAME_view.png    the view that the network saw
      NAME_infer.json  every step that was taken, and warnings (--json prints these records)

    \b
    Example:
      uvtex infer models:/uvtex@champion photo.jpg --out textures
      uvtex infer best.safetensors photos/*.jpg --mask masks/ --texture-size 2048 --out textures
    """
    from uvtex.inference.infer import infer as run

    results = run(checkpoint, photos, out, device or "auto", mask, texture_size, whole)
    if as_json:
        echo(json.dumps([result.to_dict() for result in results]))
        return
    for result in results:
        echo(_describe(result))
        for warning in result.warnings:
            echo(f"  warning: {warning}", err=True)


def _describe(result: Inferred) -> str:
    photo, square = result.photo, result.photo.square
    width, height = photo.upright
    turned = ", turned upright" if photo.facts.orientation != 1 else ""
    notes = photo.facts.colours  # those in doubt are among the warnings
    converted = "".join(f", {note}" for note in notes if note not in photo.facts.doubts)
    resampled = f", resampled to {result.texture_size}" if result.resampled else ""
    if photo.cropped:
        left, top = round(square.left), round(square.top)
        right, bottom = round(square.right), round(square.bottom)
        shown = f"the square ({left}, {top}) to ({right}, {bottom}) of it"
    else:
        shown = "the whole photo"
    padding = f", {photo.padding:.0%} of it padding" if photo.padding >= 0.005 else ""
    return "\n".join(
        (
            f"{photo.path}: {width}x{height}{turned}{converted}; car {photo.mask.share:.0%} by "
            f"{photo.mask.source}",
            f"  shown: {shown}{padding}, at {len(photo.view)} px; texture "
            f"{result.network_size} px{resampled}",
            f"  {result.files['texture']}",
        )
    )
