"""Reader of an earlier script's ``metadata.json``.

It lists augmented pictures by their paths on another machine.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from uvtex.errors import DataError
from uvtex.intake.sources.candidates import Candidate, Source, StandIn, problem
from uvtex.typed.text_files import read_json


class _Augmented(BaseModel):
    """One record of ``metadata.json``. Its paths are valid on the machine that wrote the file."""

    model_config = ConfigDict(extra="ignore")

    source_uv: str = Field(min_length=1)
    uv_aug: str | None = None
    view_aug: str = Field(min_length=1)
    transforms: Any = None


def read(source: Source) -> None:
    """Adds the records of the file at ``source.path`` to ``source``."""
    values = read_json(source.path, DataError)
    if not isinstance(values, list):
        raise DataError(f"{source.path}: must be a list of records, got a {type(values).__name__}")
    files = Files(source.path.parent)
    records: list[tuple[str, _Augmented]] = []
    for number, value in enumerate(values):
        try:
            records.append((f"record {number}", _Augmented.model_validate(value)))
        except ValidationError as error:
            source.refuse(f"record {number}", problem(error))
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


def _textures(
    source: Source, files: Files, records: Sequence[tuple[str, _Augmented]]
) -> dict[str, Path | str]:
    """``source_uv`` in lower case -> its texture, or the reason why there is none.

    Stand-ins are added to ``source``.
    """
    groups: dict[str, list[_Augmented]] = {}
    for _, record in records:
        groups.setdefault(record.source_uv.lower(), []).append(record)
    out: dict[str, Path | str] = {}
    for key, group in groups.items():
        try:
            out[key] = files.find(group[0].source_uv)
        except Ambiguous as error:
            out[key] = f"source_uv {error}"
        except DataError as error:
            stand_in = _least_transformed(files, group)
            name = parts_of(group[0].source_uv)[-1]
            if stand_in is None:
                out[key] = f"source_uv {error}, nor is any uv_aug of it"
                continue
            out[key], transforms = stand_in
            livery = livery_of(group[0].source_uv)
            source.stand_ins.append(StandIn(livery, name, stand_in[0], transforms))
    return out


def _least_transformed(
    files: Files, group: Sequence[_Augmented]
) -> tuple[Path, tuple[str, ...]] | None:
    for record in sorted(group, key=lambda r: distance(transform_names(r.transforms))):
        if record.uv_aug:
            try:
                return files.find(record.uv_aug), transform_names(record.transforms)
            except DataError:
                continue
    return None


def _note_transforms(source: Source, records: Sequence[_Augmented]) -> None:
    """Adds a note for each livery: how many of its views were altered by each transform.

    The colours of a jittered view differ from its texture, and no later check notices this.
    """
    if any(distance(transform_names(record.transforms))[0] for record in records):
        source.notes.append(
            "the pictures are augmented, so no camera stands still: `uvtex data maps` finds UV "
            "maps only in the pictures from before the augmentation; import those with a CSV table"
        )
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


def livery_of(source_uv: str) -> str:
    r"""The livery that a texture's path names: ``C:\\cars\\red.v2.png`` is ``red.v2``."""
    return PurePosixPath(parts_of(source_uv)[-1]).stem or source_uv


def parts_of(path: str) -> tuple[str, ...]:
    """The parts of a path with slashes or backslashes; never empty."""
    parts = PureWindowsPath(path).parts
    return tuple(part for part in parts if part not in ("\\", "/")) or (path,)


def _folded(name: str) -> str:
    """A file's name without case, and with its accents as Windows and Linux encode them."""
    return unicodedata.normalize("NFC", name).lower()


class Ambiguous(DataError):
    """Several different files have the wanted name."""


class Files:
    """The files under a folder, found by the last part of another machine's path."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._by_name: dict[str, list[Path]] = {}
        for path in sorted(root.rglob("*")):
            if path.is_file():
                self._by_name.setdefault(_folded(path.name), []).append(path)

    def find(self, foreign: str) -> Path:
        """The file with that name. Of several, the one with the most matching parent folders.

        Raises:
            DataError: there is no such file.
            Ambiguous: several files match equally well and their contents differ.
        """
        parts = parts_of(foreign)
        found = self._by_name.get(_folded(parts[-1]), [])
        if not found:
            raise DataError(f"{parts[-1]} is not beside the metadata")
        best = max(self._agreement(parts, path) for path in found)
        fitting = [path for path in found if self._agreement(parts, path) == best]
        if len(fitting) > 1 and len({path.read_bytes() for path in fitting}) > 1:
            places = ", ".join(str(path.relative_to(self._root)) for path in fitting)
            raise Ambiguous(f"{parts[-1]} is ambiguous: {places}; keep the one that is meant")
        return fitting[0]

    def _agreement(self, parts: Sequence[str], path: Path) -> tuple[int, bool]:
        here = path.relative_to(self._root).parts
        agreeing = 0
        for theirs, ours in zip(reversed(parts), reversed(here), strict=False):
            if _folded(theirs) != _folded(ours):
                break
            agreeing += 1
        return agreeing, path.name == parts[-1]


COLOUR = ("hsv_jitter", "noise", "filter")
"""Transforms that move no pixel, so that the texture still fits the car."""


def distance(transforms: Sequence[str]) -> tuple[int, int, int]:
    """A sort key: how much transforms change a texture. Unknown ones count as moving pixels."""
    moving = [name for name in transforms if name not in COLOUR]
    return len(moving), sum(name != "affine" for name in moving), len(transforms)


def transform_names(value: Any) -> tuple[str, ...]:
    """The transforms' names in a list of names, a list of mappings, a mapping, or a string."""
    return tuple(_transform_names_in(value))


def _transform_names_in(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield from (part.strip().lower() for part in value.split(",") if part.strip())
    elif isinstance(value, dict):
        name = next((value[k] for k in ("name", "type", "transform") if k in value), None)
        if isinstance(name, str):
            yield name.lower()
        else:
            # {"noise": false} means that noise was not applied.
            yield from (
                str(k).lower() for k, v in value.items() if v is not False and v is not None
            )
    elif isinstance(value, list):
        for item in value:
            yield from _transform_names_in(item)
