"""A set of photos without UV maps: still cameras, whose true maps are known to the tests."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image
from torch import Tensor

from tests.imaging.map_estimation.made_camera import SIDE, made_camera, photographed
from uvtex.data import manifest
from uvtex.data.manifest import Record


def save(path: Path, pixels: Tensor) -> str:
    """Writes uint8 [3, h, w] as a picture; returns its name in the set."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels.permute(1, 2, 0).numpy()).save(path)
    return f"{path.parent.name}/{path.name}"


def photo_set(
    folder: Path,
    liveries: int = 12,
    cameras: Sequence[str | None] = ("front",),
    texels: int = 32,
    seed: int = 0,
    side: int = SIDE,
    paints: Tensor | None = None,
) -> Path:
    """``liveries`` views from each camera. Each camera sees the same panels from its own place.

    Args:
        paints: uint8 [liveries, 3, T, T], instead of those of ``seed``.
    """
    records = []
    for number, camera in enumerate(cameras):
        made = (
            made_camera(liveries, seed, texels, side)
            if paints is None
            else photographed(paints, side)
        )
        views = made.views.roll(2 * number, dims=2)
        for livery in range(liveries):
            texture = save(folder / f"textures/{livery}.png", made.paints[livery])
            view = save(folder / f"views/{livery}-{number}.png", views[livery])
            records.append(
                Record(view=view, livery=f"livery{livery:02d}", texture=texture, camera=camera)
            )
    manifest.write(folder, records)
    return folder


def repaint(folder: Path, livery: int, seed: int) -> None:
    """Replaces the pictures and the texture of a livery by noise."""
    generator = np.random.default_rng(seed)
    for path in [*folder.glob(f"views/{livery}-*.png"), folder / f"textures/{livery}.png"]:
        shape = np.asarray(Image.open(path)).shape
        Image.fromarray(generator.integers(0, 256, shape).astype(np.uint8)).save(path)
