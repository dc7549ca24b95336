"""Makes a set whose views are like photos out of a set that was traced with few light paths.

    python -m benchmarks.photo_set SET OUT --smooth 2 --noise 0.008

A plate of 4 light paths a pixel is far noisier than a photo, and one of 800 takes hours. The light
of the painted pixels is blurred by a Gaussian of `--smooth` pixels, by painted pixels alone, which
takes as much noise away as 50 times as many paths, and edges of shadows below that width too. The
views are composed anew. Each gets noise of its own with a standard deviation of `--noise`, where 1
is the range from black to white: that of a camera, not of the set.

`--studio` traces the same cameras and liveries in another place, with its shadows and reflections.
A checkpoint of SET then sees photos with a backdrop and a light that it has not seen:

- own: the showroom itself, for comparison;
- pale: a light, warm floor, and light from one side;
- dark: asphalt in a dark hall;
- paved: a floor of uneven stones, and a skyline of dark and light walls;
- lined: asphalt with painted lines, below a bright sky.

The path tracer's noise is that of another seed, so the floor's noise is not that of SET.

With `--aside` the cameras there stand so many metres from where those of SET stand, in a direction
by chance. They look at the same point. So the car is seen with another parallax.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import click
import numpy as np
from scipy import ndimage

from uvtex.console import PATH, CleanErrorCommand, FiniteRange
from uvtex.data import manifest
from uvtex.data.pictures import read_rgb
from uvtex.errors import DataError
from uvtex.files import npz, png, write_atomic
from uvtex.settings import load_yaml
from uvtex.showroom.cars.subject import Subject
from uvtex.showroom.rendering import plates
from uvtex.showroom.rendering.cameras import cameras as cameras_of
from uvtex.showroom.rendering.plate_files import plate_path, read_plate, write_views
from uvtex.showroom.rendering.plates import Plate
from uvtex.showroom.settings import ShowroomSettings

OTHER_SEED = 1000
"""Added to the path tracer's seed in another studio."""
FLOOR_SIDE = 2048
"""Side of a floor's picture, in pixels."""
FLOOR = 12.0
"""Side of the part of the floor that its picture covers, in metres. The picture is repeated."""


@click.command(cls=CleanErrorCommand)
@click.argument("data", metavar="SET", type=PATH)
@click.argument("out", type=PATH)
@click.option(
    "--smooth", type=FiniteRange(min=0), default=2.0, help="Width of the blur, in pixels."
)
@click.option("--noise", type=FiniteRange(min=0), default=0.008, help="Noise of a view, of 1.")
@click.option("--seed", type=int, default=0, help="Seed of the noise.")
@click.option("--studio", type=click.Choice(["own", "pale", "dark", "paved", "lined"]))
@click.option("--size", type=click.IntRange(min=16), help="Side of a view traced in --studio.")
@click.option(
    "--aside",
    type=FiniteRange(min=0),
    default=0.0,
    help="Metres by which cameras in --studio move.",
)
def main(
    data: Path,
    out: Path,
    smooth: float,
    noise: float,
    seed: int,
    studio: str | None,
    size: int | None,
    aside: float,
) -> None:
    """Make OUT, a set with the cameras and the liveries of SET.

    \b
    Example:
      python -m benchmarks.photo_set SET ELSEWHERE --studio paved --size 512
    """
    if aside and studio is None:
        raise click.UsageError("--aside needs --studio: the cameras' pictures are traced anew")
    cameras = sorted({r.camera for r in manifest.read(data).records if r.camera and r.plate})
    shutil.copytree(data, out, ignore=shutil.ignore_patterns("views", "plates"))
    (out / "plates").mkdir()
    rng = np.random.default_rng(seed)
    textures = sorted((out / "textures").glob("*.png"))
    if studio is not None:
        _trace_elsewhere(data, out, studio, size, aside)
    for camera in cameras:
        plate = smoothed(read_plate(data if studio is None else out, camera), smooth)
        light = {"falling": plate.falling, "reflected": plate.reflected}
        halves = {name: value.astype(np.float16) for name, value in light.items()}
        write_atomic(plate_path(out, camera), npz(**halves))
        write_views(out, camera, read_plate(out, camera), textures)
        for texture in textures:
            path = out / "views" / camera / texture.name
            view = read_rgb(path) + rng.normal(0, 255 * noise, (*plate.mask.shape, 3))
            write_atomic(path, png(view.clip(0, 255).round().astype(np.uint8)))


def _trace_elsewhere(data: Path, out: Path, studio: str, size: int | None, aside: float) -> None:
    """Writes the plates of the cameras of ``data`` in another studio into ``out``."""
    settings = ShowroomSettings(**load_yaml(data / "showroom.yaml"))
    if settings.car is not None or settings.poses is not None:
        raise DataError(f"{data}: --studio needs the built-in car and its own cameras")
    seed = settings.seed + OTHER_SEED
    own = plates._studio

    def other(base: dict[str, Any], subject: Subject) -> dict[str, Any]:
        scene = own(base, subject)
        return scene if studio == "own" else _elsewhere(scene, studio)

    rng = np.random.default_rng(settings.seed)
    with patch.object(plates, "_studio", other):
        for number, placed in enumerate(cameras_of(settings.cameras, settings.seed)):
            step = rng.normal(size=3)
            x, y, z = placed.origin + aside * step / np.linalg.norm(step)
            camera = replace(placed, origin=(x, y, z))
            plate = plates.trace(
                camera, size or settings.size, settings.samples, settings.supersample, seed + number
            )
            write_atomic(out / "masks" / f"{camera.name}.png", png(plate.mask))
            write_atomic(out / "uv_maps" / f"{camera.name}.npz", npz(uv=plate.uv))
            light = {"falling": plate.falling, "reflected": plate.reflected}
            write_atomic(plate_path(out, camera.name), npz(**light))


def _elsewhere(scene: dict[str, Any], studio: str) -> dict[str, Any]:
    """The scene of the showroom with the floor, the surroundings and the lights of ``studio``."""
    rng = np.random.default_rng(0)
    floors: dict[str, Callable[[np.random.Generator], np.ndarray]] = {
        "paved": _stones,
        "lined": _lines,
    }
    greys = {"pale": (0.62, 0.58, 0.5), "dark": (0.05, 0.05, 0.055)}
    room = {"pale": (0.7, 0.68, 0.62), "dark": (0.06, 0.06, 0.07), "lined": (0.9, 1.0, 1.2)}
    mi, reach = plates.tracer(), 60.0
    transform = mi.ScalarTransform4f()
    floor = {
        "type": "diffuse",
        "reflectance": {"type": "rgb", "value": greys.get(studio, (0.1,) * 3)},
    }
    if studio in floors:
        pixels = np.repeat(floors[studio](rng)[..., None], 3, axis=2).astype(np.float32)
        floor["reflectance"] = {
            "type": "bitmap",
            "data": mi.TensorXf(np.ascontiguousarray(pixels)),
            "raw": True,
            "wrap_mode": "repeat",
            "to_uv": transform.scale([2 * reach / FLOOR, 2 * reach / FLOOR, 1]),
        }
    scene["floor"] = {
        "type": "rectangle",
        "to_world": transform.scale([reach, reach, 1]),
        "bsdf": {"type": "twosided", "base": floor},
    }
    if studio in room:
        scene["room"]["radiance"]["value"] = list(room[studio])
    else:
        scene["room"] = {
            "type": "envmap",
            "bitmap": mi.Bitmap(_skyline(rng)),
            "to_world": transform.rotate([1, 0, 0], 90),
        }
    if studio != "dark":
        del scene["softbox1" if studio == "pale" else "softbox2"]
    return scene


def _stones(rng: np.random.Generator) -> np.ndarray:
    """Paving stones of 60 by 40 centimetres in uneven greys, with dark joints: [n, n], linear."""
    step = FLOOR / FLOOR_SIDE
    y, x = np.mgrid[:FLOOR_SIDE, :FLOOR_SIDE] * step
    row = (y // 0.4).astype(int)
    x = (x + 0.3 * (row % 2)) % FLOOR
    column = (x // 0.6).astype(int)
    grey: np.ndarray = rng.uniform(0.12, 0.5, (row.max() + 1, column.max() + 1))[row, column]
    joint = (y % 0.4 < 0.02) | (x % 0.6 < 0.02)
    grain = ndimage.gaussian_filter(rng.normal(size=grey.shape), 3, mode="wrap") * 0.5
    return np.where(joint, 0.04, grey * (1 + grain)).clip(0.02, 0.9)


def _lines(rng: np.random.Generator) -> np.ndarray:
    """Asphalt with white lines along and across: [n, n], linear."""
    step = FLOOR / FLOOR_SIDE
    y, x = np.mgrid[:FLOOR_SIDE, :FLOOR_SIDE] * step
    grain = ndimage.gaussian_filter(rng.normal(size=x.shape), 2, mode="wrap") * 0.8
    asphalt = (0.09 * (1 + grain)).clip(0.02, 0.3)
    return np.where((y % 3.0 < 0.12) | ((x % 6.0 < 0.12) & (y % 6.0 < 3.0)), 0.7, asphalt)


def _skyline(rng: np.random.Generator) -> np.ndarray:
    """Walls of uneven heights and colours below a sky, all around: float32 [256, 512, 3]."""
    sky = np.linspace(1.1, 0.7, 256)[:, None, None] * np.array([0.8, 0.95, 1.2])
    out = np.broadcast_to(sky, (256, 512, 3)).astype(np.float32)
    left = 0
    while left < 512:
        right = left + int(rng.integers(8, 40))
        out[256 // 2 - int(rng.integers(4, 50)) :, left:right] = rng.uniform(0.02, 0.6, 3)
        left = right
    return np.ascontiguousarray(out)


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
