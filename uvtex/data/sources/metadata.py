"""An earlier script's ``metadata.json``: augmented pictures, and the paths of another machine."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from uvtex.data.sources.elsewhere import Ambiguous, Files, livery_of, parts_of
from uvtex.data.sources.found import Candidate, Source, StandIn
from uvtex.data.sources.texts import parsed, problem
from uvtex.data.sources.transforms import distance, transform_names
from uvtex.errors import DataError


class _Augmented(BaseModel):
    """One record of ``metadata.json``; the paths are those of the machine that wrote it."""

    model_config = ConfigDict(extra="ignore")

    source_uv: str = Field(min_length=1)
    uv_aug: str | None = None
    view_aug: str = Field(min_length=1)
    transforms: Any = None


def read(source: Source) -> None:
    """Fills ``source`` from the file at its path."""
    values = parsed(source.path)
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
    """Each ``source_uv``'s texture, or why there is none; stand-ins are noted in ``source``."""
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
