"""Textures of several photos of which some are blurred, with and without the weight of sharpness.

    python -m benchmarks.blurred PHOTOS CHECKPOINT --photos 4 --photos 8 --liveries 4

The set and the checkpoint are those of :mod:`benchmarks.full_resolution`, with at least as many
cameras as photos. The cameras are drawn by chance for each livery. One photo by chance, or half of
them, is blurred by a Gaussian of so many of its pixels. `half a photo` blurs the right half of one
photo.

Figures are SSIM with the true texture over the texels that the photos see, without and with the
weight; and SSIM(UV) of the network's own texture, likewise. Beside each stand the change of a
livery, its mean, least and largest, and the half width of its 95 % interval (Student's t over the
liveries). With `--network-only` no large texture is made.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from unittest.mock import patch

import click
import numpy as np
import torch
from PIL import Image
from scipy import ndimage, stats

from benchmarks.full_resolution import (
    held_out,
    of_held_out_photos,
    seen_by,
    ssim_within,
    written,
)
from uvtex.console import CleanErrorCommand
from uvtex.data.pictures import read_rgb
from uvtex.inference.fuse import fuse
from uvtex.inference.textures import resampled

WAYS = (
    ("none", 0.0),
    *(("one", sigma) for sigma in (1.0, 2.0, 4.0, 8.0, 16.0)),
    *(("half of them", sigma) for sigma in (2.0, 4.0, 8.0, 16.0)),
    ("half a photo", 4.0),
)
"""Which photos are blurred, and the blur's standard deviation in pixels."""


def _alike(details: list[np.ndarray]) -> tuple[list[None], list[float]]:
    """No weights: as if all photos were as sharp."""
    return [None] * len(details), [1.0] * len(details)


WITHOUT = {
    "uvtex.inference.full_size.weights": _alike,
    "uvtex.inference.fuse.worth": lambda photos: torch.ones(len(photos)),
}
"""What stands for the weight."""
NETWORK_ONLY = click.option("--network-only", is_flag=True, help="Make no large textures.")


@click.command(cls=CleanErrorCommand)
@of_held_out_photos
@NETWORK_ONLY
@click.option("--seed", type=int, default=0, help="Seed of the choice of cameras and photos.")
def main(
    data: Path,
    trained: Path,
    counts: tuple[int, ...],
    liveries: int,
    network_only: bool,
    seed: int,
) -> None:
    """Print a Markdown table of SSIM by number of photos and blur.

    \b
    Example:
      python -m benchmarks.blurred PHOTOS best.safetensors --photos 2 --photos 4
    """
    textures, cameras = held_out(data, trained)
    print_heads("blurred", "sigma", network_only)
    for count in counts:
        for which, sigma in WAYS:
            if (which, count) == ("half of them", 2):
                continue  # one of two
            rng = np.random.default_rng(seed)
            found = []
            for texture in textures[:liveries]:
                chosen = [cameras[i] for i in rng.permutation(len(cameras))[:count]]
                order = rng.permutation(count)
                odd = order[: {"none": 0, "half of them": count // 2}.get(which, 1)]
                views = [read_rgb(data / "views" / camera / texture.name) for camera in chosen]
                for i in odd:
                    views[i] = blurred(views[i], sigma, whole=which != "half a photo")
                found.append(measured(data, trained, texture, chosen, views, WITHOUT, network_only))
            print_row(count, which, sigma, found)


def print_heads(which: str, size: str, network_only: bool) -> None:
    """Prints the heads of a table, ``which`` photos are changed and by which ``size``."""
    kinds = ("network",) if network_only else ("network", "sampled")
    heads = [f"{kind}: {head}" for kind in kinds for head in ("without", "with", "change")]
    print(f"| photos | {which} | {size} | " + " | ".join(heads) + " |")
    print("| --- |" + " --- |" * (2 + len(heads)), flush=True)


def print_row(
    count: int, which: str, size: float, found: Sequence[Sequence[tuple[float, float]]]
) -> None:
    """Prints the row of what :func:`measured` found for each livery."""
    cells = [_cells(np.array(pairs)) for pairs in zip(*found, strict=True)]
    print(f"| {count} | {which} | {size:g} | {' | '.join(cells)} |", flush=True)


def _cells(pairs: np.ndarray) -> str:
    """Of the figures of each livery without and with what is measured, [N, 2]."""
    without, weighted = pairs.T
    gain = weighted - without
    wide = stats.t.ppf(0.975, len(gain) - 1) * gain.std(ddof=1) / np.sqrt(len(gain))
    return (
        f"{without.mean():.3f} | {weighted.mean():.3f} "
        f"| {gain.mean():+.4f} ({gain.min():+.4f} to {gain.max():+.4f}), ± {wide:.4f}"
    )


def blurred(photo: np.ndarray, sigma: float, whole: bool) -> np.ndarray:
    """A photo uint8 [H, W, 3], blurred, or its right half."""
    out: np.ndarray = ndimage.gaussian_filter(photo, (sigma, sigma, 0))
    if not whole:
        left = photo.shape[1] // 2
        out[:, :left] = photo[:, :left]
    return out


def measured(
    data: Path,
    trained: Path,
    texture: Path,
    cameras: list[str],
    views: list[np.ndarray],
    without: dict[str, object],
    network_only: bool,
) -> list[tuple[float, float]]:
    """SSIM without and with something: of the network's own texture, and of the large one.

    Args:
        without: what stands for it, by the name that is patched.
    """
    true = read_rgb(texture)
    with tempfile.TemporaryDirectory() as scratch:
        out = Path(scratch)
        photos = written(out, texture.name, cameras, views)

        def made(name: str, side: int | None) -> list[np.ndarray]:
            settings = {"device": "cpu", "whole": True, "keep_all": True, "texture_size": side}
            with ExitStack() as changed:
                for target, instead in without.items():
                    changed.enter_context(patch(target, instead))
                [plain] = fuse(str(trained), photos, out / f"{name}-without", **settings)
            [weighted] = fuse(str(trained), photos, out / name, **settings)
            return [read_rgb(result.files["texture"]) for result in (plain, weighted)]

        small = made("network", None)
        large = [] if network_only else made("sampled", len(true))
        mask = np.any([seen_by(data, camera, len(true)) for camera in cameras], axis=0)
    side = len(small[0])
    reduced = np.asarray(resampled(Image.fromarray(true), side))
    everywhere = np.ones((side, side), bool)
    found = [[ssim_within(one, reduced, everywhere) for one in small]]
    found += [[ssim_within(one, true, mask) for one in large]] if large else []
    return [(plain, made) for plain, made in found]


if __name__ == "__main__":
    main()
