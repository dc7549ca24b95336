"""Shots of a camera that moved a little, or that wrote pictures of other sizes: what is paint."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from tests.imaging.map_estimation.made_camera import true_map
from tests.intake.made_photos import photo_set
from uvtex.data import manifest
from uvtex.intake.map_finding.find import find_maps

CAR, WHOLE, EDGE = 56, 88, 8
"""Sides of the part with the car and of the picture, and pixels that a shift may uncover."""


def _backdrop() -> np.ndarray:
    """A plain wall, a floor with grain: uint8 [h, w, 3], EDGE pixels more around than a picture."""
    grain = np.random.default_rng(0).normal(0, 1, (WHOLE + 2 * EDGE, WHOLE + 2 * EDGE, 1))
    soft = ndimage.gaussian_filter(grain, (0.7, 0.7, 0))
    soft[: len(soft) // 2] = 0
    scene: np.ndarray = (110 + 40 * soft / soft.std()).clip(0, 255).repeat(3, axis=2)
    return scene.astype(np.uint8)


def _shots(folder: Path, right_down: np.ndarray, sides: list[int]) -> Path:
    """A set whose views stand before the backdrop, shifted and resized."""
    photo_set(folder, liveries=len(sides), side=CAR)
    away = (WHOLE - CAR) // 2 + EDGE
    for livery, ((right, down), side) in enumerate(zip(right_down, sides, strict=True)):
        path = folder / f"views/{livery}-0.png"
        picture = Image.fromarray(_backdrop())
        picture.paste(Image.open(path), (away, away))
        lies = (1, 0, -right, 0, 1, -down)
        shot = picture.transform(
            picture.size, Image.Transform.AFFINE, lies, Image.Resampling.BICUBIC
        )
        shot = shot.crop((EDGE, EDGE, EDGE + WHOLE, EDGE + WHOLE))
        shot.resize((side, side), Image.Resampling.LANCZOS).save(path)
    return folder


@pytest.mark.parametrize("how", ["fractions of a pixel", "sizes"])
def test_edges_of_the_backdrop_are_not_paint(tmp_path: Path, how: str) -> None:
    shifts, sides = np.zeros((12, 2)), [WHOLE] * 12
    if how == "sizes":
        sides = [(WHOLE, 112, 136)[k % 3] for k in range(12)]
    else:
        shifts = np.random.default_rng(1).normal(0, 1.2, (12, 2)).clip(-3, 3)
    report = find_maps(_shots(tmp_path / "set", shifts, sides), tmp_path / "out")
    assert report.cameras[0].liveries == 12
    record = manifest.read(tmp_path / "out").records[0]
    with Image.open(tmp_path / "out" / str(record.mask)) as file:
        painted = np.asarray(file.convert("L")) > 127
    truth = np.isfinite(true_map(CAR).numpy()[..., 0]).sum() / WHOLE**2
    assert 0.95 * truth < painted.mean() < 1.25 * truth
