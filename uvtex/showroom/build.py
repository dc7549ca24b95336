"""Builds a data set from settings: views, textures, masks, UV maps and plates in one folder.

A build that was interrupted is resumed: it keeps the files that are there and makes the others.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from uvtex.data import manifest
from uvtex.errors import ConfigError, DataError, UvtexError
from uvtex.files import make_folder, write_atomic
from uvtex.progress import Echo, Eta, Progress
from uvtex.settings import dump_yaml
from uvtex.showroom.cars import seam_edges
from uvtex.showroom.cars.car_json import write_marks, write_report
from uvtex.showroom.cars.own_car import OwnCar, load
from uvtex.showroom.cars.subject import PAINT, built_in
from uvtex.showroom.fingerprint import check_same, with_hashes
from uvtex.showroom.rendering.cameras import Camera, cameras, posed
from uvtex.showroom.rendering.plate_files import plate_path, read_or_trace, read_plate, write_views
from uvtex.showroom.rendering.plates import tracer
from uvtex.showroom.reporting import CAMERAS, progress_in_lines
from uvtex.showroom.settings import ShowroomSettings
from uvtex.showroom.textures import check_liveries, painters, read_template, write_textures

SETTINGS = "showroom.yaml"


def build(
    settings: ShowroomSettings,
    out: Path,
    say: Echo | None = None,
    progress: Progress | None = None,
) -> Path:
    """Builds the data set of ``settings`` in ``out``; returns its manifest's path.

    Files of an interrupted build are kept. The same settings give the same files.

    Args:
        say: receives the build's messages.
        progress: receives the progress. None: ``say`` receives a line for each camera.

    Raises:
        ConfigError: the settings contradict each other.
        DataError: ``out`` holds other files or a set of other settings, or the car, a livery or
            the template cannot be used.
        UvtexError: the path tracer is missing, or ``out`` cannot be written.
    """
    echo = say or (lambda line: None)
    if settings.maps is False and settings.views is False:
        raise ConfigError(
            "showroom: views false needs the maps, from which views are composed; leave out one of "
            "--no-views and --no-maps"
        )
    sealed = with_hashes(settings)
    if _is_complete(sealed, out):
        echo(f"{out}: complete already")
        return out / "manifest.json"
    tracer()  # A missing path tracer is reported before anything is written.
    car = _own_car(settings, echo)
    template = read_template(settings, echo)
    if not (out / SETTINGS).is_file():
        check_liveries(settings, echo)
        make_folder(out)
        write_atomic(out / SETTINGS, dump_yaml(sealed).encode())
    advance = progress or progress_in_lines(echo)
    textures = write_textures(painters(settings, sealed, car, template), out, advance)
    if car is not None:
        unwrapped = settings.car is not None and settings.car.unwrap
        write_marks(out, car, settings.texture_size, unwrapped)
    seam_edges.write(out, (car.subject if car else built_in()).meshes[PAINT])
    poses = _cameras(sealed, car)
    records = _render(sealed, out, poses, car, textures, advance)
    if car is not None:
        echo(_write_report(sealed, out, car, poses))
    return manifest.write(out, records)


def _is_complete(settings: ShowroomSettings, out: Path) -> bool:
    """Whether ``out`` holds the whole set.

    Raises:
        DataError: ``out`` holds other files, or a set of other settings.
    """
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


def _own_car(settings: ShowroomSettings, echo: Echo) -> OwnCar | None:
    if settings.car is None:
        return None
    car = load(settings.car)
    for line in car.remarks:
        echo(line)
    return car


def _cameras(sealed: ShowroomSettings, car: OwnCar | None) -> list[Camera]:
    if sealed.poses is not None:
        return posed(sealed.poses)
    return cameras(sealed.cameras, sealed.seed, car.subject if car else None)


def _render(
    sealed: ShowroomSettings,
    out: Path,
    poses: list[Camera],
    car: OwnCar | None,
    textures: list[Path],
    advance: Progress,
) -> list[manifest.Record]:
    """Writes the plates and views that ``out`` lacks; returns the records of all views."""
    records: list[manifest.Record] = []
    remaining = Eta()
    for number, camera in enumerate(poses):
        advance(CAMERAS, number, len(poses), remaining.text(len(poses) - number))
        traced_before = plate_path(out, camera.name).exists()
        plate = read_or_trace(sealed, out, number, camera, car.subject if car else None)
        if sealed.views is not False:
            write_views(out, camera.name, plate, textures)
        remaining.skipped() if traced_before else remaining.done()
        records.extend(_record(camera.name, path, sealed.maps is not False) for path in textures)
    advance(CAMERAS, len(poses), len(poses), "")
    return records


def _record(camera: str, texture: Path, with_maps: bool) -> manifest.Record:
    record = manifest.Record(
        view=f"views/{camera}/{texture.name}",
        livery=texture.stem,
        texture=f"textures/{texture.name}",
        mask=f"masks/{camera}.png",
        camera=camera,
    )
    if not with_maps:
        return record
    files = {
        "uv_map": f"uv_maps/{camera}.npz",
        "plate": f"plates/{camera}.npz",
    }
    return record.model_copy(update=files)


def _write_report(sealed: ShowroomSettings, out: Path, car: OwnCar, poses: list[Camera]) -> str:
    maps = [read_plate(out, camera.name).uv for camera in poses]
    sha256 = None if sealed.car is None else sealed.car.sha256
    side = min(sealed.size, sealed.texture_size)
    return write_report(out, replace(car, facts={**car.facts, "sha256": sha256}), maps, side)
