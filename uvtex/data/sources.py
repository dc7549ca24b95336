"""What people bring to be imported, read as it is: our manifest, a CSV, or an earlier script's.

A reader opens no picture and writes nothing. Whatever it cannot use it hands back with the reason;
it raises only when there is nothing to read at all.
"""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from uvtex.data import manifest
from uvtex.errors import DataError

Kind = Literal["manifest", "csv", "metadata"]
FORMATS = (
    "a folder with manifest.json (this project's own), a CSV with the columns view, livery and "
    "texture, or a folder with an earlier script's metadata.json"
)


@dataclass(frozen=True)
class Candidate:
    """A pair that may be used: its files were there when it was read."""

    where: str
    """The record's place in the source, for messages."""
    view: Path
    livery: str
    texture: Path
    mask: Path | None = None
    uv_map: Path | None = None
    camera: str | None = None


@dataclass(frozen=True)
class Unusable:
    """A record or file that is left out, and why."""

    where: str
    reason: str


@dataclass(frozen=True)
class StandIn:
    """A livery whose own texture is missing, and what takes its place."""

    livery: str
    missing: str
    texture: Path
    transforms: tuple[str, ...]


@dataclass
class Source:
    """Everything one source holds."""

    kind: Kind
    path: Path
    candidates: list[Candidate] = field(default_factory=list)
    unusable: list[Unusable] = field(default_factory=list)
    stand_ins: list[StandIn] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def refuse(self, where: str, reason: str) -> None:
        """Notes that something is left out."""
        self.unusable.append(Unusable(where, reason))


def read(path: Path) -> Source:
    """The source at ``path``: a file of a known format, or a folder with one such file.

    Raises:
        DataError: nothing there, no known format, several of them, or broken as a whole.
    """
    kind, file = _find(path)
    source = Source(kind, file)
    _READERS[kind](source)
    _refuse_shared_names(source)
    _refuse_repeats(source)
    return source


def _find(path: Path) -> tuple[Kind, Path]:
    if path.is_file():
        return _kind_of(path), path
    if not path.is_dir():
        raise DataError(f"{path}: no such file or folder")
    names = ("manifest.json", "metadata.json")
    found = [path / name for name in names if (path / name).is_file()] + sorted(path.glob("*.csv"))
    if len(found) == 1:
        return _kind_of(found[0]), found[0]
    if found:
        listed = ", ".join(file.name for file in found)
        raise DataError(f"{path}: holds {listed}; name the one to import")
    empty = not any(path.iterdir())
    raise DataError(
        f"{path}: {'the folder is empty' if empty else 'nothing to import there'}; "
        f"what can be imported is {FORMATS}"
    )


def _kind_of(file: Path) -> Kind:
    if file.suffix.lower() == ".csv":
        return "csv"
    if file.name in ("manifest.json", "metadata.json"):
        return "manifest" if file.stem == "manifest" else "metadata"
    raise DataError(f"{file}: cannot be imported; what can be is {FORMATS}")


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8-sig")  # Excel and PowerShell write the mark
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{file}: cannot be read as UTF-8 text: {error}") from None


def _json(file: Path) -> Any:
    text = _text(file)
    try:
        return json.loads(text)
    except (json.JSONDecodeError, RecursionError) as error:
        raise DataError(f"{file}: cannot be read as JSON: {error}") from None


def _problem(error: ValidationError) -> str:
    first = error.errors(include_url=False)[0]
    return f"{'.'.join(str(part) for part in first['loc']) or 'record'}: {first['msg']}"


def _refuse_shared_names(source: Source) -> None:
    """Drops liveries that name two textures: which of them is meant cannot be known."""
    textures: dict[str, set[Path]] = {}
    for candidate in source.candidates:
        textures.setdefault(candidate.livery, set()).add(candidate.texture)
    kept = []
    for candidate in source.candidates:
        rivals = sorted(str(path) for path in textures[candidate.livery])
        if len(rivals) == 1:
            kept.append(candidate)
            continue
        source.refuse(
            candidate.where,
            f"two liveries are named {candidate.livery!r}, with {' and '.join(rivals)}; give each "
            "texture a livery of its own",
        )
    source.candidates = kept


def _refuse_repeats(source: Source) -> None:
    """Drops records of a view that an earlier one has: it would weigh, or leak, twice."""
    first: dict[Path, Candidate] = {}
    for candidate in source.candidates:
        earlier = first.setdefault(candidate.view, candidate)
        if earlier is not candidate:
            source.refuse(candidate.where, f"its view is that of {earlier.where}, {earlier.view}")
    source.candidates = list(first.values())


# Our own manifest


def _read_manifest(source: Source) -> None:
    root = source.path.parent.resolve()
    records, refused = lenient(source.path)
    source.unusable += refused
    for where, record in records:
        files = {
            name: (root / relative).resolve()
            for name in manifest.FILE_FIELDS
            if (relative := getattr(record, name)) is not None
        }
        source.candidates.append(
            Candidate(where, livery=record.livery, camera=record.camera, **files)
        )


def lenient(path: Path) -> tuple[list[tuple[str, manifest.Record]], list[Unusable]]:
    """A ``manifest.json``'s good records, each with its place, and why the others are not.

    :func:`uvtex.data.manifest.read` stops at the first fault; this lists them all.

    Raises:
        DataError: no file, no JSON, no list of records, another version.
    """
    values = _json(path)
    records = values.get("records") if isinstance(values, dict) else None
    if not isinstance(records, list):
        raise DataError(f"{path}: records: must be a list")
    if values.get("version", manifest.VERSION) != manifest.VERSION:
        raise DataError(
            f"{path}: version {values['version']}; this uvtex reads version {manifest.VERSION}"
        )
    root = path.parent.resolve()
    good: list[tuple[str, manifest.Record]] = []
    refused: list[Unusable] = []
    for number, value in enumerate(records):
        where = f"record {number}"
        try:
            record = manifest.Record.model_validate(value)
            for name in manifest.FILE_FIELDS:
                if (relative := getattr(record, name)) is not None:
                    _check_inside(root, name, relative)
        except ValidationError as error:
            refused.append(Unusable(where, _problem(error)))
        except DataError as error:
            refused.append(Unusable(where, str(error)))
        else:
            good.append((where, record))
    return good, refused


def _check_inside(root: Path, name: str, relative: str) -> None:
    try:
        target = (root / relative).resolve()
        present = target.is_file()
    except (OSError, ValueError) as error:  # NUL bytes, names too long, loops of links
        raise DataError(f"{name} {relative!r} is no path: {error}") from None
    if not target.is_relative_to(root):
        raise DataError(f"{name} {relative!r} leaves the data set's folder")
    if not present:
        raise DataError(f"{name} {relative} is missing")


# CSV


class _Row(BaseModel):
    """A CSV's row. Paths count from the CSV's folder; unlike a manifest's they may lead anywhere,
    since a person writes them to gather pictures that lie apart."""

    model_config = ConfigDict(str_strip_whitespace=True, extra="ignore")

    view: str = Field(min_length=1)
    livery: str = Field(min_length=1)
    texture: str = Field(min_length=1)
    mask: str | None = None
    uv_map: str | None = None
    camera: str | None = None


def _read_csv(source: Source) -> None:
    text = _text(source.path)
    try:
        lines = csv.DictReader(
            io.StringIO(text), delimiter=_delimiter(text), skipinitialspace=True, strict=True
        )
        columns = [name.strip().lower() for name in lines.fieldnames or ()]
        lines.fieldnames = columns
        rows = [(f"line {lines.line_num}", row) for row in lines]
    except csv.Error as error:
        raise DataError(f"{source.path}: cannot be read as CSV: {error}") from None
    missing = [name for name in ("view", "livery", "texture") if name not in columns]
    if missing:
        raise DataError(
            f"{source.path}: no column {', '.join(missing)}; the first line must name the columns "
            f"view, livery and texture (mask, uv_map and camera if known), got "
            f"{', '.join(columns) or 'nothing'}"
        )
    for where, row in rows:
        try:
            parsed = _Row.model_validate({k: v for k, v in row.items() if k and v})
            files = {
                name: _beside(source.path.parent, name, value)
                for name in manifest.FILE_FIELDS
                if (value := getattr(parsed, name))
            }
        except ValidationError as error:
            source.refuse(where, _problem(error))
        except DataError as error:
            source.refuse(where, str(error))
        else:
            source.candidates.append(
                Candidate(where, livery=parsed.livery, camera=parsed.camera, **files)
            )


def _delimiter(text: str) -> str:
    """Comma, or the semicolon or tab that spreadsheets write in some countries."""
    head = text.partition("\n")[0]
    return max(",;\t", key=head.count)


def _beside(folder: Path, name: str, value: str) -> Path:
    try:
        for form in (value, value.replace("\\", "/")):
            if (folder / form).is_file():
                return (folder / form).resolve()
    except (OSError, ValueError) as error:
        raise DataError(f"{name} {value!r} is no path: {error}") from None
    raise DataError(f"{name} {value} is missing")


# The earlier script's metadata.json

GEOMETRY = ("affine", "perspective")
"""Transforms that move pixels: such a texture no longer fits the car."""
COLOUR = ("hsv_jitter", "noise", "filter")


class _Augmented(BaseModel):
    """One record of ``metadata.json``; the paths are those of the machine that wrote it."""

    model_config = ConfigDict(extra="ignore")

    source_uv: str = Field(min_length=1)
    uv_aug: str | None = None
    view_aug: str = Field(min_length=1)
    transforms: Any = None


def _read_metadata(source: Source) -> None:
    values = _json(source.path)
    if not isinstance(values, list):
        raise DataError(f"{source.path}: must be a list of records, got a {type(values).__name__}")
    files = _Files(source.path.parent)
    records: list[tuple[str, _Augmented]] = []
    for number, value in enumerate(values):
        try:
            records.append((f"record {number}", _Augmented.model_validate(value)))
        except ValidationError as error:
            source.refuse(f"record {number}", _problem(error))
    textures = _textures(source, files, records)
    _note_transforms(source, [r for _, r in records])
    for where, record in records:
        texture = textures[record.source_uv.lower()]
        if isinstance(texture, str):
            source.refuse(where, texture)
            continue
        try:
            view = files.find(record.view_aug)
        except DataError as error:
            source.refuse(where, f"view_aug {error}")
            continue
        source.candidates.append(Candidate(where, view, livery_of(record.source_uv), texture))


def livery_of(source_uv: str) -> str:
    r"""The livery that a texture's path names: ``C:\\cars\\red.v2.png`` is ``red.v2``."""
    return PurePosixPath(_parts(source_uv)[-1]).stem or source_uv


def _parts(path: str) -> tuple[str, ...]:
    """A path's parts, whichever way its slashes lean; never empty."""
    parts = PureWindowsPath(path).parts
    return tuple(part for part in parts if part not in ("\\", "/")) or (path,)


class _Ambiguous(DataError):
    """Several different files have the name that is looked for."""


class _Files:
    """The files under a folder, found by the name that another machine's path ends in."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._by_name: dict[str, list[Path]] = {}
        for path in sorted(root.rglob("*")):
            if path.is_file():
                self._by_name.setdefault(path.name.lower(), []).append(path)

    def find(self, foreign: str) -> Path:
        """The one file of that name; where there are several, the one whose folders fit best.

        Raises:
            DataError: there is none.
            _Ambiguous: several fit equally well and differ.
        """
        parts = _parts(foreign)
        found = self._by_name.get(parts[-1].lower(), [])
        if not found:
            raise DataError(f"{parts[-1]} is not beside the metadata")
        best = max(self._agreement(parts, path) for path in found)
        fitting = [path for path in found if self._agreement(parts, path) == best]
        if len(fitting) > 1 and len({path.read_bytes() for path in fitting}) > 1:
            places = ", ".join(str(path.relative_to(self._root)) for path in fitting)
            raise _Ambiguous(f"{parts[-1]} is ambiguous: {places}; keep the one that is meant")
        return fitting[0]

    def _agreement(self, parts: Sequence[str], path: Path) -> tuple[int, bool]:
        here = path.relative_to(self._root).parts
        agreeing = 0
        for theirs, ours in zip(reversed(parts), reversed(here), strict=False):
            if theirs.lower() != ours.lower():
                break
            agreeing += 1
        return agreeing, path.name == parts[-1]


def _textures(
    source: Source, files: _Files, records: Sequence[tuple[str, _Augmented]]
) -> dict[str, Path | str]:
    """Each ``source_uv``'s texture, or why there is none; stand-ins are noted in ``source``."""
    groups: dict[str, list[_Augmented]] = {}
    for _, record in records:
        groups.setdefault(record.source_uv.lower(), []).append(record)
    out: dict[str, Path | str] = {}
    for key, group in groups.items():
        try:
            out[key] = files.find(group[0].source_uv)
        except _Ambiguous as error:
            out[key] = f"source_uv {error}"
        except DataError as error:
            stand_in = _least_transformed(files, group)
            name = _parts(group[0].source_uv)[-1]
            if stand_in is None:
                out[key] = f"source_uv {error}, nor is any uv_aug of it"
                continue
            out[key], transforms = stand_in
            livery = livery_of(group[0].source_uv)
            source.stand_ins.append(StandIn(livery, name, stand_in[0], transforms))
    return out


def _least_transformed(
    files: _Files, group: Sequence[_Augmented]
) -> tuple[Path, tuple[str, ...]] | None:
    for record in sorted(group, key=lambda r: _distance(transform_names(r.transforms))):
        if record.uv_aug:
            try:
                return files.find(record.uv_aug), transform_names(record.transforms)
            except DataError:
                continue
    return None


def _distance(transforms: Sequence[str]) -> tuple[int, int, int]:
    """How far transforms lead from the original; one that is not known may move pixels."""
    moving = [name for name in transforms if name not in COLOUR]
    return len(moving), sum(name != "affine" for name in moving), len(transforms)


def transform_names(value: Any) -> tuple[str, ...]:
    """Names out of a list of names, a list of mappings with one, a mapping, or a string."""
    return tuple(_names(value))


def _names(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield from (part.strip().lower() for part in value.split(",") if part.strip())
    elif isinstance(value, dict):
        name = next((value[k] for k in ("name", "type", "transform") if k in value), None)
        if isinstance(name, str):
            yield name.lower()
        else:
            # {"noise": false} says that it was not applied.
            yield from (
                str(k).lower() for k, v in value.items() if v is not False and v is not None
            )
    elif isinstance(value, list):
        for item in value:
            yield from _names(item)


def _note_transforms(source: Source, records: Sequence[_Augmented]) -> None:
    """Says per livery how many views were altered by what: a jittered view is not its texture's
    colour, and nobody else would notice."""
    counts: dict[str, Counter[str]] = {}
    for record in records:
        counter = counts.setdefault(livery_of(record.source_uv), Counter())
        counter.update(set(transform_names(record.transforms)))
        counter["views"] += 1
    for livery, counter in counts.items():
        views = counter.pop("views")
        altered = ", ".join(f"{name} {count}" for name, count in sorted(counter.items()))
        if altered:
            source.notes.append(
                f"livery {livery!r}: one texture for {views} views, transformed by {altered}"
            )


_READERS: dict[Kind, Callable[[Source], None]] = {
    "manifest": _read_manifest,
    "csv": _read_csv,
    "metadata": _read_metadata,
}
