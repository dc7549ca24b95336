"""The files of a set's plates, and the views composed from them."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from uvtex.data.pictures import describe, read_grey, read_rgb
from uvtex.errors import DataError
from uvtex.files import make_folder, npz, png, write_atomic
from uvtex.imaging.compose import compose
from uvtex.showroom.cars.subject import Subject
from uvtex.showroom.rendering import plates
from uvtex.showroom.rendering.cameras import Camera
from uvtex.showroom.rendering.plates import Plate
from uvtex.showroom.settings import ShowroomSettings

BATCH = 8
"""Views composed at once, at most."""


def plate_path(out: Path, camera: str) -> Path:
    """Where the light of ``camera``'s plate lies. The file is written last of the plate's three."""
    return out / "plates" / f"{camera}.npz"


def read_or_trace(
    settings: ShowroomSettings, out: Path, number: int, camera: Camera, subject: Subject | None
) -> Plate:
    """The plate of ``camera``: read from ``out`` where it is there, otherwise traced and written.

    Args:
        number: of the camera in the set; the path tracer's seed depends on it.
        subject: the car; None for the built-in one.

    Raises:
        DataError: the plate in ``out`` cannot be read.
    """
    path = plate_path(out, camera.name)
    if not path.exists():
        seed = settings.seed + number
        plate = plates.trace(
            camera, settings.size, settings.samples, settings.supersample, seed, subject
        )
        for folder in ("plates", "masks", "uv_maps"):
            make_folder(out / folder)
        write_atomic(out / "masks" / f"{camera.name}.png", png(plate.mask))
        write_atomic(out / "uv_maps" / f"{camera.name}.npz", npz(uv=plate.uv))
        light = {"falling": _half(plate.falling), "reflected": _half(plate.reflected)}
        write_atomic(path, npz(**light))
    # Read back also after tracing: a resumed build composes from the same rounded numbers.
    return read_plate(out, camera.name)


def read_plate(out: Path, camera: str) -> Plate:
    """The plate of ``camera`` in the set ``out``.

    Raises:
        DataError: one of its three files cannot be read.
    """
    try:
        with np.load(plate_path(out, camera), allow_pickle=False) as light:
            falling, reflected = light["falling"], light["reflected"]
        with np.load(out / "uv_maps" / f"{camera}.npz", allow_pickle=False) as arrays:
            uv = arrays["uv"]
        mask = read_grey(out / "masks" / f"{camera}.png")
    except (DataError, OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
        raise DataError(
            f"{out}: the plate of {camera} cannot be read: {error}; delete "
            f"plates/{camera}.npz and build again"
        ) from None
    return Plate(uv, mask, falling.astype(np.float32), reflected.astype(np.float32))


def write_views(out: Path, camera: str, plate: Plate, textures: list[Path]) -> None:
    """Composes and writes the views of ``camera`` that ``out`` lacks, one a texture."""
    folder = out / "views" / camera
    make_folder(folder)
    missing = [path for path in textures if not (folder / path.name).exists()]
    batch_size = _batch_size(textures)
    uv, falling, reflected = map(torch.from_numpy, (plate.uv, plate.falling, plate.reflected))
    for begin in range(0, len(missing), batch_size):
        paths = missing[begin : begin + batch_size]
        pictures = np.stack([read_rgb(path) for path in paths])
        batch = torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 255
        views = compose(batch, uv, falling, reflected)
        pixels = (views * 255).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()
        for path, view in zip(paths, pixels, strict=True):
            write_atomic(folder / path.name, png(view))


def _batch_size(textures: list[Path]) -> int:
    """BATCH, or fewer for textures above 1024 texels a side: one of 4096 takes 1 GB of memory."""
    return max(1, min(BATCH, BATCH * 1024**2 // describe(textures[0]).width ** 2))


def _half(radiance: NDArray[np.float32]) -> NDArray[np.float16]:
    return np.clip(radiance, 0, 60_000).astype(np.float16)
