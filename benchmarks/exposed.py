"""Textures of photos whose exposure is not that of the training views, evened out and not.

    python -m benchmarks.exposed PHOTOS CHECKPOINT --photos 3 --liveries 4

The set and the checkpoint are those of :mod:`benchmarks.full_resolution`. The linear light of each
photo is multiplied before `uvtex infer --fuse --whole` sees it:

- all: that of all photos, all channels, by the same factor;
- each: that of each photo by the factor or its inverse, by chance;
- warm: red by the factor, blue by its inverse.

What is then above white is lost. What was white before a factor below 1 is grey and does not look
saturated, unlike in a photo of a shorter exposure: such rows are too low. Figures are those of
:mod:`benchmarks.blurred`.
"""

from __future__ import annotations

from pathlib import Path

import click
import numpy as np
import torch

from benchmarks.blurred import NETWORK_ONLY, measured, print_heads, print_row
from benchmarks.full_resolution import held_out, of_held_out_photos
from uvtex.console import CleanErrorCommand
from uvtex.data.pictures import read_rgb
from uvtex.imaging.compose import linear_from_srgb, srgb_from_linear

WAYS = (
    ("all", 1.0),
    *(("all", factor) for factor in (0.5, 0.8, 1.1, 1.25, 1.5)),
    *(("each", factor) for factor in (1.1, 1.25)),
    ("warm", 1.15),
)
"""Whose light is changed, and by which factor."""
WITHOUT = {"uvtex.imaging.placing.BRIGHTER": np.inf}
"""What stands for evening out: no difference is an exposure of its own."""


@click.command(cls=CleanErrorCommand)
@of_held_out_photos
@NETWORK_ONLY
@click.option("--seed", type=int, default=0, help="Seed of the photos that are darker.")
def main(
    data: Path,
    trained: Path,
    counts: tuple[int, ...],
    liveries: int,
    network_only: bool,
    seed: int,
) -> None:
    """Print a Markdown table of SSIM by exposure.

    \b
    Example:
      python -m benchmarks.exposed PHOTOS best.safetensors --photos 3 --liveries 4
    """
    textures, cameras = held_out(data, trained)
    print_heads("light", "factor", network_only)
    for count in counts:
        for which, factor in WAYS:
            rng = np.random.default_rng(seed)
            found = []
            for texture in textures[:liveries]:
                views = []
                for camera in cameras[:count]:
                    gain = np.full(3, factor ** (rng.choice([-1, 1]) if which == "each" else 1))
                    if which == "warm":
                        gain = np.array([factor, 1, 1 / factor])
                    views.append(exposed(read_rgb(data / "views" / camera / texture.name), gain))
                found.append(
                    measured(data, trained, texture, cameras[:count], views, WITHOUT, network_only)
                )
            print_row(count, which, factor, found)


def exposed(photo: np.ndarray, gain: np.ndarray) -> np.ndarray:
    """A photo uint8 [H, W, 3] with its linear light multiplied by ``gain`` [3]."""
    if (gain == 1).all():
        return photo
    light = linear_from_srgb(torch.tensor(photo).float() / 255) * torch.tensor(gain).float()
    shown: np.ndarray = (srgb_from_linear(light.clamp(0, 1)) * 255).round().byte().numpy()
    return shown


if __name__ == "__main__":
    main()
