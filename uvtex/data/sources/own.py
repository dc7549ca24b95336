"""Our own ``manifest.json``, read so that one bad record does not spoil the others."""

from __future__ import annotations

import os
from pathlib import Path

from pydantic import ValidationError

from uvtex.data import manifest
from uvtex.data.sources.found import Candidate, Source, Unusable
from uvtex.data.sources.texts import parsed, problem
from uvtex.errors import DataError

_FIELDS = (*manifest.FILE_FIELDS, "plate")


def read(source: Source) -> None:
    """Fills ``source`` from the file at its path."""
    root = source.path.parent.resolve()
    records, refused = lenient(source.path)
    source.unusable += refused
    for where, record in records:
        files = {
            name: Path(os.path.realpath(root / relative))
            for name in _FIELDS
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
    values = parsed(path)
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
    known: set[str] = set()
    for number, value in enumerate(records):
        where = f"record {number}"
        try:
            record = manifest.Record.model_validate(value)
            _check(root, record, known)
        except ValidationError as error:
            refused.append(Unusable(where, problem(error)))
        except DataError as error:
            refused.append(Unusable(where, str(error)))
        else:
            good.append((where, record))
    return good, refused


def _check(root: Path, record: manifest.Record, known: set[str]) -> None:
    """Raises DataError where a file is outside ``root`` or missing; ``known`` ones are passed."""
    composable = record.plate is not None and record.uv_map is not None
    for name in _FIELDS:
        relative = getattr(record, name)
        if relative is not None and relative not in known:
            _check_inside(root, name, relative, optional=name == "view" and composable)
            known.add(relative)


def _check_inside(root: Path, name: str, relative: str, optional: bool) -> None:
    try:
        target = Path(os.path.realpath(root / relative))  # resolve() would raise on loops of links
        present = target.is_file()
    except (OSError, ValueError) as error:  # names too long, NUL bytes
        raise DataError(f"{name} '{manifest.shown(relative)}' is no path: {_why(error)}") from None
    if not target.is_relative_to(root):
        raise DataError(f"{name} '{manifest.shown(relative)}' leaves the data set's folder")
    if not present and not optional:
        raise DataError(f"{name} {manifest.shown(relative)} is missing")


def _why(error: Exception) -> str:
    # An OSError's text repeats the path, however long it is.
    return str(getattr(error, "strerror", None) or error)
