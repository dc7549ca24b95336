"""Reader of a CSV table; its pictures may be in any folder."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from uvtex.data import manifest
from uvtex.errors import DataError
from uvtex.intake.sources.candidates import Candidate, Source, problem, text


class _Row(BaseModel):
    """A row of the CSV. Paths are relative to the CSV's folder. Unlike the paths of a manifest they
    may leave that folder, because people write a CSV to gather pictures from several folders."""

    model_config = ConfigDict(str_strip_whitespace=True, extra="ignore")

    view: str = Field(min_length=1)
    livery: str = Field(min_length=1)
    texture: str = Field(min_length=1)
    mask: str | None = None
    uv_map: str | None = None
    camera: str | None = None


def read(source: Source) -> None:
    """Adds the records of the CSV at ``source.path`` to ``source``."""
    content = text(source.path)
    try:
        lines = csv.DictReader(
            io.StringIO(content), delimiter=_delimiter(content), skipinitialspace=True, strict=True
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
                name: _resolve(source.path.parent, name, value)
                for name in manifest.FILE_FIELDS
                if (value := getattr(parsed, name))
            }
        except ValidationError as error:
            source.refuse(where, problem(error))
        except DataError as error:
            source.refuse(where, str(error))
        else:
            source.candidates.append(
                Candidate(where, livery=parsed.livery, camera=parsed.camera, **files)
            )


def _delimiter(content: str) -> str:
    """Comma, semicolon or tab: spreadsheets use the last two in some countries."""
    head = content.partition("\n")[0]
    return max(",;\t", key=head.count)


def _resolve(folder: Path, name: str, value: str) -> Path:
    try:
        for form in (value, value.replace("\\", "/")):
            if (folder / form).is_file():
                return (folder / form).resolve()
    except (OSError, ValueError) as error:
        raise DataError(f"{name} {value!r} is not a valid path: {error}") from None
    raise DataError(f"{name} {value} is missing")
