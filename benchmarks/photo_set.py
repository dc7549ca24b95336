"""Makes a set whose views are like photos out of a set that was traced with few light paths.

    python -m benchmarks.photo_set SET OUT --smooth 2 --noise 0.008

A plate of 4 light paths a pixel is far noisier than a photo, and one of 800 takes hours. The light
of the painted pixels is blurred by a Gaussian of `--smooth` pixels, by painted pixels alone, which
takes as much noise away as 50 times as many paths, and edges of shadows below that width too. The
views are composed anew. Each gets noise of its own with a standard deviation of `--noise`, where 1
is the range from black to white: that of a camera, not of the set.
"""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import click
import numpy as np
from scipy import ndimage

from uvtex.console import PATH, CleanErrorCommand, FiniteRange
from uvtex.data import manifest
from uvtex.data.pictures import read_rgb
from uvtex.files import npz, png, write_atomic
from uvtex.showroom.rendering.plate_files import plate_path, read_plate, write_views
from uvtex.showroom.rendering.plates import Plate


@click.command(cls=CleanErrorCommand)
@click.argument("data", metavar="SET", type=PATH)
@click.argument("out", type=PATH)
@click.option(
    "--smooth", type=FiniteRange(min=0), default=2.0, help="Width of the blur, in pixels."
)
@click.option("--noise", type=FiniteRange(min=0), default=0.008, help="Noise of a view, of 1.")
@click.option("--seed", type=int, default=0, help="Seed of the noise.")
def main(data: Path, out: Path, smooth: float, noise: float, seed: int) -> None:
    """Make OUT, a set with the cameras and the liveries of SET."""
    cameras = sorted({r.camera for r in manifest.read(data).records if r.camera and r.plate})
    shutil.copytree(data, out, ignore=shutil.ignore_patterns("views", "plates"))
    (out / "plates").mkdir()
    rng = np.random.default_rng(seed)
    textures = sorted((out / "textures").glob("*.png"))
    for camera in cameras:
        plate = smoothed(read_plate(data, camera), smooth)
        light = {"falling": plate.falling, "reflected": plate.reflected}
        halves = {name: value.astype(np.float16) for name, value in light.items()}
        write_atomic(plate_path(out, camera), npz(**halves))
        write_views(out, camera, read_plate(out, camera), textures)
        for texture in textures:
            path = out / "views" / camera / texture.name
            view = read_rgb(path) + rng.normal(0, 255 * noise, (*plate.mask.shape, 3))
            write_atomic(path, png(view.clip(0, 255).round().astype(np.uint8)))


def smoothed(plate: Plate, width: float) -> Plate:
    """The plate with the light of its painted pixels blurred, by painted pixels alone."""
    if width == 0:
        return plate
    share = plate.mask[..., None] / np.float32(255)
    total = np.maximum(_blurred(share, width), 1e-6)

    def blurred(light: np.ndarray) -> np.ndarray:
        return np.where(share > 0, _blurred(light * share, width) / total, light)

    return replace(plate, falling=blurred(plate.falling), reflected=blurred(plate.reflected))


def _blurred(picture: np.ndarray, width: float) -> np.ndarray:
    blurred: np.ndarray = ndimage.gaussian_filter(picture, (width, width, 0))
    return blurred


if __name__ == "__main__":
    main()
