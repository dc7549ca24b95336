"""From settings to a folder of views, textures, masks and UV maps; interrupted builds go on.

Only light modules are imported here: the command line reads this one for its help.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from uvtex.config import dump_yaml, load_yaml, validate
from uvtex.data import manifest
from uvtex.errors import ConfigError, DataError, UvtexError
from uvtex.files import write_atomic
from uvtex.showroom.settings import ShowroomSettings

if TYPE_CHECKING:
    from uvtex.showroom.plates import Plate

Progress = Callable[[str], None]
"""Called with one line whenever there is something to tell."""

SETTINGS = "showroom.yaml"
BATCH = 8
"""Liveries composed at once."""


def build(settings: ShowroomSettings, out: Path, progress: Progress | None = None) -> Path:
    """Builds the data set of ``settings`` in ``out``; returns its manifest's path.

    What an interrupted build left is kept. The same settings give the same files.

    Raises:
        DataError: ``out`` holds something else, or a set of other settings.
        UvtexError: the path tracer is missing, or ``out`` cannot be written.
    """
    from uvtex.showroom.plates import tracer

    tell = progress or (lambda line: None)
    if _is_complete(settings, out):
        tell(f"{out}: complete already")
        return out / "manifest.json"
    tracer()  # before anything is written
    _folder(out)
    if not (out / SETTINGS).is_file():
        write_atomic(out / SETTINGS, dump_yaml(settings).encode())
    textures = _paint(settings, out, tell)
    records: list[manifest.Record] = []
    stands = _cameras(settings)
    for number, camera in enumerate(stands):
        tell(f"camera {number + 1} of {len(stands)}")
        plate = _plate(settings, out, number, camera)
        _dress(out, camera.name, plate, textures)
        records.extend(_record(camera.name, path) for path in textures)
    return manifest.write(out, records)


def livery_seed(settings: ShowroomSettings, number: int) -> int:
    """The seed that livery ``number`` of a set is painted from."""
    return settings.seed * 100_000 + number


def _is_complete(settings: ShowroomSettings, out: Path) -> bool:
    """Whether ``out`` holds all of this set; refuses a folder that is not this set's."""
    if (out / SETTINGS).is_file():
        _check_same(settings, out / SETTINGS)
        return (out / "manifest.json").is_file()
    if out.exists() and not out.is_dir():
        raise DataError(f"{out}: is a file; give a folder to build the data set in")
    try:
        foreign = out.is_dir() and any(path.suffix != ".part" for path in out.iterdir())
    except OSError as error:
        raise UvtexError(f"{out}: cannot be read: {error.strerror}; choose another") from error
    if foreign:
        raise DataError(f"{out}: holds files of something else; give a new or an empty folder")
    return False


def _check_same(settings: ShowroomSettings, path: Path) -> None:
    try:
        there = validate(ShowroomSettings, load_yaml(path), where=str(path))
    except ConfigError as error:
        raise DataError(f"{error}; the folder is no set of this version, choose another") from None
    wanted, found = settings.model_dump(), there.model_dump()
    other = [f"{k} {found[k]}, not {wanted[k]}" for k in wanted if wanted[k] != found[k]]
    if other:
        raise DataError(
            f"{path.parent}: was built with other settings ({'; '.join(other)}); "
            "give another folder, or the settings it was built with"
        )


def _paint(settings: ShowroomSettings, out: Path, tell: Progress) -> list[Path]:
    from uvtex.showroom.liveries import paint

    tell(f"painting {settings.liveries} liveries")
    _folder(out / "textures")
    paths = []
    for number in range(settings.liveries):
        path = out / "textures" / f"livery_{number:03d}.png"
        if not path.exists():
            write_atomic(path, _png(paint(livery_seed(settings, number), settings.texture_size)))
        paths.append(path)
    return paths


def _cameras(settings: ShowroomSettings) -> list[Any]:
    from uvtex.showroom.cameras import cameras

    return cameras(settings.cameras, settings.seed)


def _plate(settings: ShowroomSettings, out: Path, number: int, camera: Any) -> Plate:
    """The camera's plate, from the folder if it is there; its own file is written last."""
    from uvtex.showroom import plates

    path = out / "plates" / f"{camera.name}.npz"
    if path.exists():
        return _read_plate(out, camera.name)
    plate = plates.trace(
        camera, settings.size, settings.samples, settings.supersample, settings.seed + number
    )
    for folder in ("plates", "masks", "uv_maps"):
        _folder(out / folder)
    write_atomic(out / "masks" / f"{camera.name}.png", _png(plate.mask))
    write_atomic(out / "uv_maps" / f"{camera.name}.npz", _npz(uv=plate.uv))
    write_atomic(path, _npz(falling=_half(plate.falling), reflected=_half(plate.reflected)))
    # Read back, so that a build that goes on composes from the same rounded numbers.
    return _read_plate(out, camera.name)


def _read_plate(out: Path, camera: str) -> Plate:
    import zipfile

    import numpy as np
    from PIL import Image

    from uvtex.showroom.plates import Plate

    try:
        with np.load(out / "plates" / f"{camera}.npz", allow_pickle=False) as light:
            falling, reflected = light["falling"], light["reflected"]
        with np.load(out / "uv_maps" / f"{camera}.npz", allow_pickle=False) as where:
            uv = where["uv"]
        with Image.open(out / "masks" / f"{camera}.png") as picture:
            mask = np.asarray(picture)
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
        raise DataError(
            f"{out}: the plate of {camera} cannot be read: {error}; delete "
            f"plates/{camera}.npz and build again"
        ) from None
    return Plate(uv, mask, falling.astype(np.float32), reflected.astype(np.float32))


def _dress(out: Path, camera: str, plate: Plate, textures: list[Path]) -> None:
    """Writes the camera's view of every livery that has none yet."""
    import numpy as np
    import torch
    from PIL import Image

    from uvtex.showroom.compose import compose

    folder = out / "views" / camera
    _folder(folder)
    missing = [path for path in textures if not (folder / path.name).exists()]
    uv, falling, reflected = map(torch.from_numpy, (plate.uv, plate.falling, plate.reflected))
    for begin in range(0, len(missing), BATCH):
        paths = missing[begin : begin + BATCH]
        pictures = np.stack([np.asarray(Image.open(path).convert("RGB")) for path in paths])
        batch = torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 255
        views = compose(batch, uv, falling, reflected)
        pixels = (views * 255).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()
        for path, view in zip(paths, pixels, strict=True):
            write_atomic(folder / path.name, _png(view))


def _record(camera: str, texture: Path) -> manifest.Record:
    return manifest.Record(
        view=f"views/{camera}/{texture.name}",
        livery=texture.stem,
        texture=f"textures/{texture.name}",
        mask=f"masks/{camera}.png",
        uv_map=f"uv_maps/{camera}.npz",
        camera=camera,
    )


def _folder(path: Path) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UvtexError(
            f"{path}: cannot be made: {error.strerror}; choose a folder that can be written"
        ) from error


def _png(pixels: Any) -> bytes:
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "png")
    return file.getvalue()


def _npz(**arrays: Any) -> bytes:
    import numpy as np

    file = io.BytesIO()
    np.savez_compressed(file, **arrays)
    return file.getvalue()


def _half(radiance: Any) -> Any:
    import numpy as np

    return np.clip(radiance, 0, 60_000).astype(np.float16)
