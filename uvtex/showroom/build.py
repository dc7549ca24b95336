"""From settings to a folder of views, textures, masks and UV maps; interrupted builds go on.

A set of one's own car also holds what ``car_files`` writes.

Only light modules are imported here: the command line reads this one for its help.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from uvtex import files as encode
from uvtex.config import dump_yaml
from uvtex.data import manifest
from uvtex.errors import DataError, UvtexError
from uvtex.files import write_atomic
from uvtex.progress import Eta, Progress, Say
from uvtex.showroom.fingerprint import check_same, with_hashes
from uvtex.showroom.liveries import files as livery_files
from uvtex.showroom.settings import ShowroomSettings

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from uvtex.showroom.cars.own_car import OwnCar
    from uvtex.showroom.liveries.template import Template
    from uvtex.showroom.rendering.cameras import Camera
    from uvtex.showroom.rendering.plates import Plate

SETTINGS = "showroom.yaml"
LIVERIES, CAMERAS = "liveries", "cameras"
BATCH = 8
"""Liveries composed at once."""


def build(
    settings: ShowroomSettings,
    out: Path,
    say: Say | None = None,
    progress: Progress | None = None,
) -> Path:
    """Builds the data set of ``settings`` in ``out``; returns its manifest's path.

    What an interrupted build left is kept. The same settings give the same files.

    Args:
        say: receives lines of text.
        progress: receives the liveries and cameras done; without it ``say`` gets a line a camera.

    Raises:
        ConfigError: settings that cannot go together.
        DataError: ``out`` holds something else, or a set of other settings; the car, a livery or
            the template cannot be used.
        UvtexError: the path tracer is missing, or ``out`` cannot be written.
    """
    from uvtex.showroom.rendering.plates import tracer

    tell = say or (lambda line: None)
    sealed = with_hashes(settings)
    if _is_complete(sealed, out):
        tell(f"{out}: complete already")
        return out / "manifest.json"
    tracer()  # before anything is written
    car = _own_car(settings, tell)
    layer = _template(settings, tell)
    if not (out / SETTINGS).is_file():
        _check_liveries(settings, tell)
        _folder(out)
        write_atomic(out / SETTINGS, dump_yaml(sealed).encode())
    advance = progress or _in_lines(tell)
    textures = _paint(_pictures(settings, sealed, car, layer), out, advance)
    if car is not None:
        _mark(settings, out, car)
    _write_seams(out, car)
    records: list[manifest.Record] = []
    stands = _cameras(sealed, car)
    remaining = Eta()
    for number, camera in enumerate(stands):
        advance(CAMERAS, number, len(stands), remaining.text(len(stands) - number))
        there = (out / "plates" / f"{camera.name}.npz").exists()
        plate = _plate(sealed, out, number, camera, car)
        if sealed.views is not False:
            _dress(out, camera.name, plate, textures)
        remaining.skipped() if there else remaining.done()
        records.extend(_record(camera.name, path) for path in textures)
    advance(CAMERAS, len(stands), len(stands), "")
    if car is not None:
        tell(_report(sealed, out, car, stands))
    return manifest.write(out, records)


def livery_seed(settings: ShowroomSettings, number: int) -> int:
    """The seed that livery ``number`` of a set is painted from."""
    return settings.seed * 100_000 + number


def _is_complete(settings: ShowroomSettings, out: Path) -> bool:
    """Whether ``out`` holds all of this set; refuses a folder that is not this set's."""
    if (out / SETTINGS).is_file():
        check_same(settings, out / SETTINGS)
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


def _own_car(settings: ShowroomSettings, tell: Say) -> OwnCar | None:
    if settings.car is None:
        return None
    from uvtex.showroom.cars.own_car import load

    car = load(settings.car)
    for line in car.remarks:
        tell(line)
    return car


def _template(settings: ShowroomSettings, tell: Say) -> Template | None:
    if settings.template is None:
        return None
    from uvtex.imaging.constant_texels import LEAST
    from uvtex.showroom.liveries import template

    path = Path(settings.template)
    files = livery_files.find(path) if path.is_dir() else {path.stem: path}
    livery_files.check(files, tell, usual=() if path.is_dir() else ("alpha",))
    if path.is_dir() and len(files) < LEAST:
        tell(f"{path}: {len(files)} liveries, which may be alike in places by chance")
    layer = template.read(path, settings.texture_size)
    tell(f"{settings.template}: no livery paints {100 * layer.share.mean():.1f} % of the atlas")
    return layer


def _mark(settings: ShowroomSettings, out: Path, car: OwnCar) -> None:
    from uvtex.showroom.cars.car_json import write_marks

    unwrapped = settings.car is not None and settings.car.unwrap
    write_marks(out, car, settings.texture_size, unwrapped)


def _write_seams(out: Path, car: OwnCar | None) -> None:
    from uvtex.showroom.cars.seam_edges import write
    from uvtex.showroom.cars.subject import PAINT, built_in

    write(out, (car.subject if car else built_in()).meshes[PAINT])


def _report(sealed: ShowroomSettings, out: Path, car: OwnCar, stands: list[Camera]) -> str:
    from uvtex.showroom.cars.car_json import write_report

    maps = [_read_plate(out, camera.name).uv for camera in stands]
    sha256 = None if sealed.car is None else sealed.car.sha256
    side = min(sealed.size, sealed.texture_size)
    return write_report(out, replace(car, facts={**car.facts, "sha256": sha256}), maps, side)


def _check_liveries(settings: ShowroomSettings, tell: Say) -> None:
    if settings.livery_dir is not None:
        files = livery_files.find(Path(settings.livery_dir))
        tell(f"checking {len(files)} liveries")
        livery_files.check(files, tell)


def _in_lines(tell: Say) -> Progress:
    def advance(stage: str, done: int, total: int, left: str = "") -> None:
        if stage == LIVERIES and done == 0:
            tell(f"{total} {stage}")
        elif stage == CAMERAS and done < total:
            tell(f"camera {done + 1} of {total}{left and f', {left}'}")

    return advance


def _paint(
    pictures: dict[str, Callable[[], NDArray[np.uint8]]], out: Path, advance: Progress
) -> list[Path]:
    """The textures' paths; those that are missing are painted, or read and brought to size."""
    _folder(out / "textures")
    paths: list[Path] = []
    remaining = Eta()
    for name, picture in pictures.items():
        advance(LIVERIES, len(paths), len(pictures), remaining.text(len(pictures) - len(paths)))
        path = out / "textures" / f"{name}.png"
        if path.exists():
            remaining.skipped()
        else:
            write_atomic(path, encode.png(picture()))
            remaining.done()
        paths.append(path)
    advance(LIVERIES, len(paths), len(pictures), "")
    return paths


def _pictures(
    settings: ShowroomSettings, sealed: ShowroomSettings, car: OwnCar | None, layer: Template | None
) -> dict[str, Callable[[], NDArray[np.uint8]]]:
    """Livery -> what makes its texture."""
    size = settings.texture_size
    if settings.livery_dir is None:
        from uvtex.showroom.cars.own_texel_map import own_texels
        from uvtex.showroom.cars.subject import PAINT
        from uvtex.showroom.liveries.procedural import paint, samples

        surface = own_texels(car.subject.meshes[PAINT], samples(size)) if car else None

        def livery(seed: int) -> NDArray[np.uint8]:
            picture = paint(seed, size, surface)
            return picture if layer is None else layer.over(picture)

        seeds = {f"livery_{n:03d}": livery_seed(settings, n) for n in range(sealed.liveries)}
        return {name: partial(livery, seed) for name, seed in seeds.items()}
    from uvtex.data.pictures import read_rgb

    files = livery_files.find(Path(settings.livery_dir))
    return {name: partial(read_rgb, path, size) for name, path in files.items()}


def _cameras(sealed: ShowroomSettings, car: OwnCar | None) -> list[Camera]:
    from uvtex.showroom.rendering.cameras import cameras, posed

    if sealed.poses is not None:
        return posed(sealed.poses)
    return cameras(sealed.cameras, sealed.seed, car.subject if car else None)


def _plate(
    settings: ShowroomSettings, out: Path, number: int, camera: Camera, car: OwnCar | None
) -> Plate:
    """The camera's plate, from the folder if it is there; its own file is written last."""
    from uvtex.showroom.rendering import plates

    path = out / "plates" / f"{camera.name}.npz"
    if path.exists():
        return _read_plate(out, camera.name)
    plate = plates.trace(
        camera,
        settings.size,
        settings.samples,
        settings.supersample,
        settings.seed + number,
        car.subject if car else None,
    )
    for folder in ("plates", "masks", "uv_maps"):
        _folder(out / folder)
    write_atomic(out / "masks" / f"{camera.name}.png", encode.png(plate.mask))
    write_atomic(out / "uv_maps" / f"{camera.name}.npz", encode.npz(uv=plate.uv))
    light = {"falling": _half(plate.falling), "reflected": _half(plate.reflected)}
    write_atomic(path, encode.npz(**light))
    # Read back, so that a build that goes on composes from the same rounded numbers.
    return _read_plate(out, camera.name)


def _read_plate(out: Path, camera: str) -> Plate:
    import zipfile

    import numpy as np
    from PIL import Image

    from uvtex.showroom.rendering.plates import Plate

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

    from uvtex.imaging.compose import compose

    folder = out / "views" / camera
    _folder(folder)
    missing = [path for path in textures if not (folder / path.name).exists()]
    batch_size = _batch_size(textures)
    uv, falling, reflected = map(torch.from_numpy, (plate.uv, plate.falling, plate.reflected))
    for begin in range(0, len(missing), batch_size):
        paths = missing[begin : begin + batch_size]
        pictures = np.stack([np.asarray(Image.open(path).convert("RGB")) for path in paths])
        batch = torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 255
        views = compose(batch, uv, falling, reflected)
        pixels = (views * 255).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()
        for path, view in zip(paths, pixels, strict=True):
            write_atomic(folder / path.name, encode.png(view))


def _batch_size(textures: list[Path]) -> int:
    """BATCH liveries, or as many as have its texels at 1024: at 4096 a texture takes 1 GB."""
    from PIL import Image

    with Image.open(textures[0]) as picture:
        return max(1, min(BATCH, BATCH * 1024**2 // picture.width**2))


def _record(camera: str, texture: Path) -> manifest.Record:
    return manifest.Record(
        view=f"views/{camera}/{texture.name}",
        livery=texture.stem,
        texture=f"textures/{texture.name}",
        mask=f"masks/{camera}.png",
        uv_map=f"uv_maps/{camera}.npz",
        plate=f"plates/{camera}.npz",
        camera=camera,
    )


def _folder(path: Path) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UvtexError(
            f"{path}: cannot be made: {error.strerror}; choose a folder that can be written"
        ) from error


def _half(radiance: Any) -> Any:
    import numpy as np

    return np.clip(radiance, 0, 60_000).astype(np.float16)
