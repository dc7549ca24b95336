"""A source's text, and its faults in one line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from uvtex.data.manifest import shown
from uvtex.errors import DataError


def text(file: Path) -> str:
    """Of a UTF-8 file. Raises DataError."""
    try:
        return file.read_text(encoding="utf-8-sig")  # Excel and PowerShell write the mark
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{file}: cannot be read as UTF-8 text: {error}") from None


def parsed(file: Path) -> Any:
    """A JSON file's values. Raises DataError."""
    content = text(file)
    try:
        return json.loads(content)
    except (ValueError, RecursionError) as error:  # a number of 5,000 digits is a ValueError
        raise DataError(f"{file}: cannot be read as JSON: {error}") from None


def problem(error: ValidationError) -> str:
    """The first fault of a record, after its place in it."""
    first = error.errors(include_url=False)[0]
    if first["type"] == "model_type":
        return f"must be an object with named fields, got {shown(repr(first['input']))}"
    return f"{'.'.join(str(part) for part in first['loc']) or 'record'}: {first['msg']}"
