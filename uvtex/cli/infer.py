"""``uvtex infer``: photos in, UV textures out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from uvtex.console import CHECKPOINT, DEVICE, JSON, PATH, CleanErrorCommand, TypedPath
from uvtex.output import echo

if TYPE_CHECKING:
    from uvtex.inference.fuse import Fused
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
    help="Side of the texture file, in pixels; the network's own by default. A larger texture is "
    "sampled from the photo itself.",
)
@click.option(
    "--dds",
    is_flag=True,
    help="Also write the texture as NAME_uv.dds: DXT1, with --alpha DXT5, without mipmaps, 8 bits.",
)
@click.option(
    "--alpha",
    is_flag=True,
    help="Make texels transparent of which nothing is known. Without it every texel is opaque.",
)
@click.option(
    "--fuse",
    "fused",
    is_flag=True,
    help="Make one texture of all photos of a livery. A folder is a livery, and so is a livery's "
    "name in a table; photos given one by one show one livery.",
)
@click.option(
    "--keep-all",
    is_flag=True,
    help="With --fuse: also use photos that contradict the others, and photos that could not be "
    "registered.",
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
    dds: bool,
    alpha: bool,
    fused: bool,
    keep_all: bool,
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

    With --texture-size, a texture larger than the network's is sampled from the photo at the
    photo's own resolution, its light taken off. It keeps 16 bits a channel if the photo has them.
    Texels that the photo does not show are enlarged from the network's texture. This needs preset
    atlas and a data set with UV maps. Two more files say what is known of each texel:
    NAME_confidence.png (0 to 255) and NAME_layers.png (255 sampled from the photo, 128 mended by
    the network, 0 unknown).

    With --fuse, what all photos of a livery show is combined first, and texels that none of them
    sees are mended once. PHOTOS are then photos of one livery, a folder for each livery, or a CSV
    file with the columns view and livery (and mask). Photos that contradict the others, as if they
    showed another livery, are named and left out; if there are as many on either side, nothing is
    written. A photo that could not be registered, because the car lies too far from where training
    views show it, is named and left out too if another one was. Each livery gets LIVERY_uv.png and
    LIVERY_infer.json, and a view and a reprojection for each photo.

    \b
    Example:
      uvtex infer models:/uvtex@champion photo.jpg --texture-size 2048 --dds --out textures
      uvtex infer models:/uvtex@champion photo.jpg --out textures
      uvtex infer models:/uvtex@champion front.jpg side.jpg rear.jpg --fuse --out textures
      uvtex infer models:/uvtex@champion photos/red photos/blue --fuse --out textures
      uvtex infer best.safetensors photos/*.jpg --mask masks/ --texture-size 2048 --out textures
    """
    if keep_all and not fused:
        raise click.UsageError("--keep-all needs --fuse: without it no photos are compared")
    if fused:
        from uvtex.inference.fuse import fuse

        made = fuse(
            checkpoint,
            photos,
            out,
            device or "auto",
            masks=mask,
            texture_size=texture_size,
            whole=whole,
            keep_all=keep_all,
            dds=dds,
            alpha=alpha,
        )
        _show_fused(made, as_json)
        return
    from uvtex.inference.infer import infer as run

    results = run(checkpoint, photos, out, device or "auto", mask, texture_size, whole, dds, alpha)
    if as_json:
        echo(json.dumps([result.to_dict() for result in results]))
        return
    for result in results:
        echo(_describe(result))
        for warning in result.warnings:
            echo(f"  warning: {warning}", err=True)


def _show_fused(results: list[Fused], as_json: bool) -> None:
    if as_json:
        echo(json.dumps([result.to_dict() for result in results]))
        return
    for result in results:
        used = len(result.photos) - len(result.left_out)
        seen = "" if result.coverage is None else f", which see {result.coverage:.0%} of the texels"
        echo(
            f"{result.livery}: {used} of {len(result.photos)} photos{seen}; texture "
            f"{result.texture_size} px\n  {result.files['texture']}"
        )
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
