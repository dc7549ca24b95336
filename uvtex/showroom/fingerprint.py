"""The settings that a set stores: files are identified by SHA-256, not by path."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from uvtex.errors import ConfigError, DataError
from uvtex.settings import differences, load_yaml, validate
from uvtex.showroom.cars.mesh_files.mesh_file import files as mesh_files
from uvtex.showroom.liveries.files import digest, find, sha256
from uvtex.showroom.settings import CarSettings, ShowroomSettings, named_poses, pose_problems
from uvtex.typed.paths import why_missing

PATH_SETTINGS = ("car.file", "livery_dir", "template")
"""Keys of paths. Two sets whose settings differ only in these keys are the same."""


def with_hashes(settings: ShowroomSettings) -> ShowroomSettings:
    """``settings`` with hashes and counts filled in, and names in place of paths.

    Raises:
        ConfigError: the settings contradict each other.
        DataError: a file cannot be read, or its hash differs from the one in ``settings``.
    """
    changed: dict[str, Any] = {}
    if settings.car is not None:
        changed["car"] = _sealed_car(settings.car)
    if settings.livery_dir is not None:
        folder = Path(settings.livery_dir)
        liveries = find(folder)
        found = digest(liveries)
        _same(str(folder), settings.livery_sha256, found)
        changed.update(livery_dir=_name(folder), livery_sha256=found, liveries=len(liveries))
    if settings.template is not None:
        changed.update(_sealed_template(settings))
    if settings.poses is not None:
        named = named_poses(settings.poses)
        found_problems = pose_problems(named)
        if found_problems:
            raise ConfigError("\n".join(f"poses: {line}" for line in found_problems))
        changed.update(poses=named, cameras=len(named))
    return settings.model_copy(update=changed) if changed else settings


def check_same(sealed: ShowroomSettings, path: Path) -> None:
    """Checks that the settings file ``path`` of a set equals ``sealed``.

    Raises:
        DataError: the settings differ. The message lists each key that differs.
    """
    try:
        there = validate(ShowroomSettings, load_yaml(path), where=str(path))
    except ConfigError as error:
        raise DataError(
            f"{error}; this version cannot read the folder's set; choose another folder"
        ) from None
    found = differences(sealed.model_dump(), there.model_dump(), ignoring=PATH_SETTINGS)
    other = [f"{key} {_short(is_)}, not {_short(want)}" for key, (want, is_) in found.items()]
    if other:
        raise DataError(
            f"{path.parent}: was built with other settings ({'; '.join(other)}); "
            "give another folder, or the settings it was built with"
        )


def _sealed_car(car: CarSettings) -> CarSettings:
    path = Path(car.file)
    if not path.is_file():
        hint = why_missing(str(path)) or "; give the path of an OBJ, GLB or glTF mesh"
        raise DataError(f"{path}: no such file{hint}")
    files = mesh_files(path)
    whole = {str(number): file for number, file in enumerate(files)}
    found = sha256(path) if len(files) == 1 else digest(whole)
    _same(str(path), car.sha256, found)
    return car.model_copy(update={"file": path.name, "sha256": found})


def _sealed_template(settings: ShowroomSettings) -> dict[str, str]:
    path = Path(settings.template or "")
    if settings.livery_dir is not None:
        raise ConfigError(
            f"template: {path} is for procedural liveries only; the liveries in "
            f"{settings.livery_dir} are used unchanged"
        )
    if path.is_dir():
        found = digest(find(path))
    elif path.is_file():  # Not exists(): reading a pipe would block.
        found = sha256(path)
    else:
        hint = why_missing(str(path)) or "; give a picture, or a folder of liveries"
        raise DataError(f"{path}: no such file{hint}")
    _same(str(path), settings.template_sha256, found)
    return {"template": _name(path), "template_sha256": found}


def _same(what: str, wanted: str | None, found: str) -> None:
    if wanted is not None and wanted != found:
        raise DataError(
            f"{what}: its SHA-256 is {found}, but the settings ask for {wanted}; "
            "restore the file, or remove the hash from the settings"
        )


def _name(folder: Path) -> str:
    return folder.resolve().name


def _short(value: Any) -> str:
    text = "unset" if value is None else str(value)
    return text if len(text) <= 40 else f"{text[:12]}..."
