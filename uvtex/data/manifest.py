"""``manifest.json``: the records of a data set, and the checks of their paths."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from uvtex.errors import DataError
from uvtex.files import write_atomic
from uvtex.typed.paths import shown, why_missing
from uvtex.typed.text_files import decoded, refuse_repeated_keys

VERSION = 1
FILE_FIELDS = ("view", "texture", "mask", "uv_map")
"""The files that an import looks for. Only built sets have plates."""
PATH_FIELDS = (*FILE_FIELDS, "plate")
MOST_HINTS = 100
"""Largest number of missing files of a set for which similar names are looked up."""


class Record(BaseModel):
    """The record of one view. Paths are relative to the manifest's folder and stay inside it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    view: str
    """Picture of the car, sRGB."""
    livery: str = Field(min_length=1)
    """The unit by which data is split."""
    texture: str
    """The livery's UV texture, square, sRGB. Row 0, the picture's top, is v = 1."""
    mask: str | None = None
    """8-bit grey picture of the view's size: 255 where paint is seen."""
    uv_map: str | None = None
    """``.npz`` with ``uv`` float [h, w, 2] in [0, 1] at pixel centres. u points right, v points up.
    ``uv`` is NaN where no paint is seen. Its size may differ from the view's. A finer grid is
    better."""
    plate: str | None = None
    """``.npz`` with ``falling`` and ``reflected`` float [h, w, 3], in linear light. Plate, UV map
    and texture suffice to compose the view. The view's file may then be absent."""
    camera: str | None = None
    """Name of the camera. Records of one camera share their mask and UV map."""


class Manifest(BaseModel):
    """The folder's records, in a fixed order."""

    # A cached string would outlive its record and keep the memory around it allocated.
    model_config = ConfigDict(frozen=True, extra="forbid", cache_strings="keys")

    version: int = VERSION
    records: tuple[Record, ...] = Field(min_length=1)


def write(folder: Path, records: Sequence[Record]) -> Path:
    """Writes ``manifest.json`` into ``folder`` atomically and returns its path. Call it last."""
    path = folder / "manifest.json"
    manifest = Manifest(records=tuple(records))
    write_atomic(path, manifest.model_dump_json(exclude_none=True, indent=1).encode())
    return path


def read(folder: Path) -> Manifest:
    """The manifest of a data set's folder, with every path checked.

    Raises:
        DataError: no manifest, no JSON, an unknown key, a path outside the folder, a missing file
            (see :class:`RecordCheck`), or one livery with two textures.
    """
    path = folder / "manifest.json"
    try:
        # Straight from bytes: a million records as dictionaries would take gigabytes.
        content = _as_utf8(path.read_bytes())
        manifest = Manifest.model_validate_json(content)
    except (FileNotFoundError, NotADirectoryError):
        raise no_set(folder) from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from None
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        if first["type"] == "json_invalid":
            raise DataError(f"{path}: cannot be read as JSON: {first['msg']}") from None
        where = ".".join(str(part) for part in first["loc"])
        raise DataError(f"{path}: {where}: {first['msg']}") from None
    if manifest.version != VERSION:
        raise DataError(f"{path}: version {manifest.version}; this uvtex reads version {VERSION}")
    refuse_repeated_keys(content, path, DataError)
    _check_records(folder, manifest)
    return manifest


def no_set(folder: Path) -> DataError:
    """The error for a ``folder`` that has no ``manifest.json``."""
    if folder.is_file():
        return DataError(f"{folder}: is a file; give the folder of a data set")
    hint = "" if folder.exists() else why_missing(str(folder))
    return DataError(
        f"{folder}: no manifest.json there"
        + (
            hint
            or "; `uvtex data import` makes a data set of your pictures, `uvtex showroom build` "
            "renders one"
        )
    )


def _as_utf8(content: bytes) -> bytes:
    """JSON as UTF-8, if an editor or PowerShell saved it with a byte-order mark or as UTF-16."""
    if content[:1] in (b"{", b"[", b" ", b"\n", b"\r") and b"\0" not in content[:2]:
        return content  # without a copy
    try:
        return decoded(content).encode()
    except ValueError:
        return content  # the parser says what is wrong with it


def _check_records(folder: Path, manifest: Manifest) -> None:
    check = RecordCheck(folder)
    textures: dict[str, str] = {}
    for number, record in enumerate(manifest.records):
        first = textures.setdefault(record.livery, record.texture)
        if first != record.texture:
            raise DataError(
                f"{folder}/manifest.json: livery {record.livery!r} has two textures, "
                f"{first} and {record.texture}; give each texture a livery of its own"
            )
        try:
            check(record)
        except DataError as error:
            raise DataError(f"{folder}/manifest.json: record {number}: {error}") from None


class RecordCheck:
    """Checks that a record's paths stay inside a data set's folder, and that its files are there.

    A view's file may be absent if the record has a plate and a UV map: the view is then composed.
    The check looks up each file and each folder once, since records share textures and UV maps.
    """

    def __init__(self, folder: Path) -> None:
        self._root = folder.resolve()
        self._inside: dict[str, bool] = {}
        self._present: set[str] = set()
        self._hints = MOST_HINTS

    def __call__(self, record: Record) -> None:
        """Checks one record. Returns None if the record can be used.

        Raises:
            DataError: a fault. The message names the field, the path and the fault, and not the
                record.
        """
        for field in PATH_FIELDS:
            relative = getattr(record, field)
            if relative is None or relative in self._present:
                continue
            self._check_inside(field, relative)
            # os.path.isfile is False for a loop of links, unlike Path.is_file.
            if os.path.isfile(self._root / relative):
                self._present.add(relative)
            elif field != "view" or record.plate is None:
                raise DataError(f"{field} {shown(relative)} is missing{self._hint(relative)}")
            elif record.uv_map is None:
                raise DataError(
                    f"view {shown(relative)} is missing and cannot be composed: the record has a "
                    "plate but no uv_map; give the record a uv_map, or add the view's file"
                )

    def _hint(self, relative: str) -> str:
        """Why a file may be missing. It lists folders, so not every missing file gets one."""
        self._hints -= 1
        return why_missing(relative, self._root) if self._hints >= 0 else ""

    def _check_inside(self, field: str, relative: str) -> None:
        parent, name = os.path.split(relative)
        try:
            if self._is_link(relative) or name in ("", ".", ".."):
                inside = self._is_inside(relative)
            else:
                if parent not in self._inside:
                    self._inside[parent] = self._is_inside(parent)
                inside = self._inside[parent]
        except (OSError, ValueError) as error:  # a name that is too long, a NUL byte
            # An OSError's text repeats the path, however long it is.
            why = getattr(error, "strerror", None) or error
            raise DataError(f"{field} '{shown(relative)}' cannot be followed: {why}") from None
        if not inside:
            raise DataError(
                f"{field} '{shown(relative)}' leaves the data set's folder; paths must stay inside "
                "it"
            )

    def _is_link(self, relative: str) -> bool:
        try:
            return stat.S_ISLNK(os.lstat(self._root / relative).st_mode)
        except (FileNotFoundError, NotADirectoryError):
            return False

    def _is_inside(self, relative: str) -> bool:
        # Not resolve(), which raises on loops of links.
        return Path(os.path.realpath(self._root / relative)).is_relative_to(self._root)
