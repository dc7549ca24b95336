"""Textures of several photos of which one could not be registered: used, filling gaps, left out.

    python -m benchmarks.refused PHOTOS CHECKPOINT --photos 2 --photos 4 --liveries 4

The set and the checkpoint are those of :mod:`benchmarks.full_resolution`, with at least as many
cameras as photos. The cameras are drawn for each livery. One photo, or `--moved` of them, is moved
as in :mod:`benchmarks.misplaced` and counts as not registered, whatever registration says of it.
The others lie right.

- used: the photo is used as it lies;
- fills: only texels that no other photo shows are sampled from it, and the network sees the others;
- left out: the texture is that of the other photos.

Figures are SSIM with the true texture over the texels that all photos see, the moved ones as if
they lay right; the change from `used` to `left out`, its mean, least and largest of a livery; SSIM
over the texels that moved photos alone see, used and left out; SSIM(UV) of the network's own
texture, used and left out; and how many of the moved photos registration refuses by itself, and in
how many liveries the check for contradictions finds any.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from itertools import count
from pathlib import Path
from typing import NamedTuple
from unittest.mock import patch

import click
import numpy as np
import torch
from PIL import Image
from torch import Tensor

from benchmarks.full_resolution import held_out, of_held_out_photos, seen_by, ssim_within
from benchmarks.misplaced import Move, drawn_move, misplaced
from uvtex.console import CleanErrorCommand
from uvtex.data.pictures import read_rgb
from uvtex.evaluation.grids import to_picture
from uvtex.files import png
from uvtex.imaging.agreement import agreement, compare
from uvtex.imaging.full_size import FullTexture, PhotoTexels
from uvtex.inference.full_size import full_size
from uvtex.inference.infer import as_views
from uvtex.inference.photos import Photo, prepare
from uvtex.inference.placement import not_placed, placed
from uvtex.inference.textures import resampled
from uvtex.models import Predictor
from uvtex.runs import checkpoint

MOVES = (
    (0.0, 0.0, 0.0),
    *((shift, 0.0, 0.0) for shift in (0.25, 1.0, 8.0)),
    (0.0, 12.0, 0.0),
    (0.0, 0.0, 7.0),
)
"""Shifts in pixels of the network, scales in percent, and turns in degrees."""


@click.command(cls=CleanErrorCommand)
@of_held_out_photos
@click.option("--moved", type=click.IntRange(min=1), default=1, help="Photos that are moved.")
@click.option("--seed", type=int, default=0, help="Seed of the cameras and the directions.")
def main(
    data: Path, trained: Path, counts: tuple[int, ...], liveries: int, moved: int, seed: int
) -> None:
    """Print a Markdown table of SSIM by number of photos and move.

    \b
    Example:
      python -m benchmarks.refused PHOTOS best.safetensors --photos 2 --photos 4 --liveries 4
    """
    textures, cameras = held_out(data, trained)
    loaded = checkpoint.load(trained)
    native = loaded.config.image_size
    print(
        "| photos | shift | scale | turn | used | fills | left out | change | alone: used, left "
        "out | network: used, left out | refused | contradicts |"
    )
    print("| --- |" + " --- |" * 11, flush=True)
    for photos in counts:
        for shift, percent, degrees in MOVES:
            rng = np.random.default_rng(seed)
            found = []
            for texture in textures[:liveries]:
                seen = [str(camera) for camera in rng.permutation(cameras)[:photos]]
                moves = [drawn_move(rng, shift / native, percent, degrees) for _ in range(moved)]
                found.append(_measured(data, loaded, texture, seen, moves))
            mean = np.nanmean(np.array([row.ssim for row in found]), axis=0)
            gains = np.array([row.ssim[2] - row.ssim[0] for row in found])
            print(
                f"| {photos} | {shift:g} | {percent:g} % | {degrees:g} "
                f"| {mean[0]:.3f} | {mean[1]:.3f} | {mean[2]:.3f} "
                f"| {gains.mean():+.3f} ({gains.min():+.3f} to {gains.max():+.3f}) "
                f"| {mean[3]:.3f}, {mean[4]:.3f} | {mean[5]:.3f}, {mean[6]:.3f} "
                f"| {sum(row.refused for row in found)} of {moved * len(found)} "
                f"| {sum(row.contradicts for row in found)} of {len(found)} |",
                flush=True,
            )


class _Measured(NamedTuple):
    """What was found for one livery."""

    ssim: tuple[float, ...]
    """Used, filling and left out; of the texels that moved photos alone see; of the network."""
    refused: int
    contradicts: bool


def _measured(
    data: Path,
    loaded: checkpoint.Checkpoint,
    texture: Path,
    cameras: Sequence[str],
    moves: Sequence[Move],
) -> _Measured:
    """Makes the textures of photos of which the first are moved."""
    odd = len(moves)
    predictor, size = loaded.predictor, loaded.config.image_size
    true = read_rgb(texture)
    masks = [seen_by(data, camera, len(true)) for camera in cameras]
    every = np.any(masks, axis=0)
    alone = every & ~np.any(masks[odd:], axis=0)
    with tempfile.TemporaryDirectory() as scratch:
        photos = []
        for k, camera in enumerate(cameras):
            view = read_rgb(data / "views" / camera / texture.name)
            path = Path(scratch) / f"{camera}.png"
            path.write_bytes(png(misplaced(view, *moves[k]) if k < odd else view))
            photos.append(prepare(path, size, None, whole=True))
        refused = sum(not_placed(placed(predictor, photo)) for photo in photos[:odd])
        used, network = _texture(predictor, photos, photos, len(true))
        fills, _ = _texture(predictor, photos, photos[odd:], len(true))
        left, smaller = _texture(predictor, photos[odd:], photos[odd:], len(true))
        with torch.no_grad():
            shown = predictor.texels_of(as_views(photos, torch.device("cpu")))
    assert shown is not None
    agreed = agreement(*compare(*shown))
    reduced = np.asarray(resampled(Image.fromarray(true), size))
    whole = np.ones((size, size), bool)
    return _Measured(
        (
            *(ssim_within(made, true, every) for made in (used, fills, left)),
            *(ssim_within(made, true, alone) for made in (used, left)),
            *(ssim_within(made, reduced, whole) for made in (network, smaller)),
        ),
        refused,
        bool(agreed.groups),
    )


def _texture(
    predictor: Predictor, photos: Sequence[Photo], seen: Sequence[Photo], side: int
) -> tuple[np.ndarray, np.ndarray]:
    """The texture of ``side`` texels, and the network's own, uint8.

    Args:
        seen: the photos that the network sees, the last ones. The others fill gaps.
    """
    views = as_views(seen, torch.device("cpu"))
    with torch.no_grad():
        texture: Tensor = predictor.fuse(views[None])[0][0]
    add, number = FullTexture.add, count()

    def faint(self: FullTexture, photo: PhotoTexels, sharp: np.ndarray | None = None) -> None:
        if next(number) < len(photos) - len(seen):
            sharp = np.full((1, 1), 1e-3, np.float32)
        add(self, photo, sharp)

    with patch.object(FullTexture, "add", faint):
        made = full_size(predictor, photos, as_views(photos, torch.device("cpu")), texture, side)
    return made.texture, np.asarray(to_picture(texture))


if __name__ == "__main__":
    main()
