"""Names that people choose. They are checked here, when settings are read.

A name ends up in file names, MLflow's keys, database filters, HTML pages and terminals. A
:data:`FileName` fits all of these as it is. A :data:`Label` may hold any printable text: each
destination that takes less encodes it.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

LONGEST = 100
"""Characters. File systems allow 255 bytes, and endings are added."""

RESERVED = frozenset(
    ["con", "prn", "aux", "nul", *(f"{port}{i}" for port in ("com", "lpt") for i in range(1, 10))]
)
"""Names that Windows keeps for devices, with any ending."""


def _file_name(name: str) -> str:
    if name.endswith("."):
        raise ValueError("must not end with a dot, which Windows drops")
    if name.partition(".")[0].lower() in RESERVED:
        raise ValueError("is a device on Windows; choose another name")
    return name


def _label(name: str) -> str:
    if name != name.strip():
        raise ValueError("must not begin or end with a space")
    if not name.isprintable():
        raise ValueError("must not hold control characters or line breaks")
    return name


FileName = Annotated[
    str,
    Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=LONGEST),
    AfterValidator(_file_name),
]
"""Letters, digits, ``.``, ``_`` and ``-``: the name of a file or folder on every system."""

Label = Annotated[str, Field(min_length=1, max_length=LONGEST), AfterValidator(_label)]
"""Printable text of up to LONGEST characters."""
