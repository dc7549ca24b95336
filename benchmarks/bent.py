"""Textures of photos that are bent beside their cameras' pictures, straightened and not.

    python -m benchmarks.bent PHOTOS CHECKPOINT --photos 3 --liveries 4

The set and the checkpoint are those of :mod:`benchmarks.full_resolution`. Each photo is bent before
`uvtex infer --fuse --whole --texture-size T` sees it, T the true texture's size:

- none: it is not bent. So SET itself may hold photos of cameras that stood elsewhere, see `--aside`
  of :mod:`benchmarks.photo_set`;
- perspective: a point p of [-1, 1] lies at p / (1 + a p), a of so much length in a direction by
  chance, as if the camera had been turned;
- lens: it lies at p (1 + k |p|^2), k as large, of a sign by chance;
- both.

The texture is made with shift, scale and turn alone, and as released. Figures are SSIM with the
true texture over the texels that the photos see, the change of a livery, its mean, least and
largest, and how many photos were straightened.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from unittest.mock import patch

import click
import numpy as np
from scipy import ndimage

from benchmarks.full_resolution import (
    held_out,
    of_held_out_photos,
    seen_by,
    ssim_within,
    written,
)
from uvtex.console import CleanErrorCommand
from uvtex.data.pictures import read_rgb
from uvtex.imaging.bend import Bend
from uvtex.imaging.placing import bending
from uvtex.inference.fuse import fuse

WAYS = (
    ("none", 0.0),
    *(("perspective", size) for size in (0.005, 0.01, 0.03)),
    *(("lens", size) for size in (0.01, 0.03)),
    ("both", 0.02),
)
"""How photos are bent, and how much."""
Field = Callable[[np.ndarray], np.ndarray]
"""Where the photo shows points [..., 2] of the camera's picture, both on [-1, 1]."""


@click.command(cls=CleanErrorCommand)
@of_held_out_photos
@click.option("--as-they-lie", is_flag=True, help="Bend no photo: the first row alone.")
@click.option("--seed", type=int, default=0, help="Seed of the directions.")
def main(
    data: Path, trained: Path, counts: tuple[int, ...], liveries: int, as_they_lie: bool, seed: int
) -> None:
    """Print a Markdown table of SSIM by the way in which photos are bent.

    \b
    Example:
      python -m benchmarks.bent PHOTOS best.safetensors --photos 3 --liveries 4
    """
    textures, cameras = held_out(data, trained)
    print("| photos | bent | size | pixels | not straightened | straightened | change | photos |")
    print("| --- |" + " --- |" * 7, flush=True)
    for count in counts:
        for way, size in WAYS[:1] if as_they_lie else WAYS:
            rng = np.random.default_rng(seed)
            rows, moved, found = [], [], 0
            for texture in textures[:liveries]:
                fields = [field_of(way, size, rng) for _ in cameras[:count]]
                moved += [_rms(field, data, c) for field, c in zip(fields, cameras, strict=False)]
                ssim, straightened = measured(data, trained, texture, cameras[:count], fields)
                rows.append(ssim)
                found += straightened
            before, after = np.array(rows).T
            gain = after - before
            print(
                f"| {count} | {way} | {size:g} | {np.median(moved):.1f} | {before.mean():.3f} "
                f"| {after.mean():.3f} | {gain.mean():+.3f} ({gain.min():+.3f} to "
                f"{gain.max():+.3f}) | {found} of {len(moved)} |",
                flush=True,
            )


def field_of(way: str, size: float, rng: np.random.Generator) -> Field:
    """One photo's bend, by chance."""
    angle, sign = rng.uniform(0, 2 * np.pi), rng.choice([-1, 1])
    tilt = size * np.array([np.cos(angle), np.sin(angle)]) * (way in ("perspective", "both"))
    lens = size * sign * (way in ("lens", "both"))

    def field(at: np.ndarray) -> np.ndarray:
        moved: np.ndarray = at / (1 + at @ tilt)[..., None]
        return moved + at * lens * (at**2).sum(axis=-1, keepdims=True)

    return field


def bent(photo: np.ndarray, field: Field) -> np.ndarray:
    """A square photo uint8 [H, H, 3], bent. Its border colours are repeated."""
    side = len(photo)
    middle = (np.arange(side) + 0.5) / side * 2 - 1
    shown = np.stack(np.meshgrid(middle, middle), axis=2)
    if np.array_equal(field(shown), shown):
        return photo
    at = shown
    for _ in range(6):
        at = shown - (field(at) - at)
    column, row = np.moveaxis((at + 1) * (side / 2) - 0.5, 2, 0)
    planes = [
        ndimage.map_coordinates(plane.astype(float), [row, column], order=3, mode="nearest")
        for plane in np.moveaxis(photo, 2, 0)
    ]
    return np.stack(planes, axis=2).clip(0, 255).round().astype(np.uint8)


def measured(
    data: Path, trained: Path, texture: Path, cameras: list[str], fields: list[Field]
) -> tuple[tuple[float, float], int]:
    """SSIM not straightened and straightened, and how many photos were."""
    true = read_rgb(texture)
    found: list[Bend | None] = []

    def noted(*given: object) -> Bend | None:
        found.append(bending.bent(*given))  # type: ignore[arg-type]
        return found[-1]

    with tempfile.TemporaryDirectory() as scratch:
        out = Path(scratch)
        views = [read_rgb(data / "views" / camera / texture.name) for camera in cameras]
        shown = [bent(view, field) for view, field in zip(views, fields, strict=True)]
        photos = written(out, texture.name, cameras, shown)
        made = []
        for name, way in (("before", lambda *_: None), ("after", noted)):
            with patch("uvtex.inference.placement.bent", way):
                [result] = fuse(
                    str(trained),
                    photos,
                    out / name,
                    device="cpu",
                    texture_size=len(true),
                    whole=True,
                    keep_all=True,
                )
            made.append(read_rgb(result.files["texture"]))
        mask = np.any([seen_by(data, camera, len(true)) for camera in cameras], axis=0)
    before, after = (ssim_within(one, true, mask) for one in made)
    return (before, after), sum(bend is not None for bend in found)


def _rms(field: Field, data: Path, camera: str) -> float:
    """How far painted pixels lie from where the camera shows them, root mean square, in pixels."""
    with np.load(data / "uv_maps" / f"{camera}.npz") as file:
        painted = np.isfinite(file["uv"][..., 0])
    side = len(painted)
    row, column = np.nonzero(painted)
    at = (np.stack([column, row], axis=1) + 0.5) / side * 2 - 1
    away = (field(at) - at) * read_rgb(next((data / "views" / camera).iterdir())).shape[0] / 2
    return float(np.sqrt((away**2).sum(axis=1).mean()))


if __name__ == "__main__":
    main()
