"""The result of reading a source: candidate records, and refused records with their reasons."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from uvtex.data.view_files import ViewFile
from uvtex.typed.paths import shown

Kind = Literal["manifest", "csv", "metadata"]


@dataclass(frozen=True)
class Candidate:
    """A record whose files existed when it was read; a plate may replace the view's file."""

    where: str
    """The record's position in the source, for messages."""
    view: Path
    livery: str
    texture: Path
    mask: Path | None = None
    uv_map: Path | None = None
    camera: str | None = None
    plate: Path | None = None

    @property
    def shot(self) -> ViewFile:
        """The files that the view is read or composed from."""
        return ViewFile(self.view, self.texture, self.uv_map, self.plate)


@dataclass(frozen=True)
class Unusable:
    """A record or file that is left out, and the reason."""

    where: str
    reason: str


@dataclass(frozen=True)
class StandIn:
    """A livery whose own texture is missing, and the texture that replaces it."""

    livery: str
    missing: str
    texture: Path
    transforms: tuple[str, ...]


@dataclass
class Source:
    """The contents of one source."""

    kind: Kind
    path: Path
    candidates: list[Candidate] = field(default_factory=list)
    unusable: list[Unusable] = field(default_factory=list)
    stand_ins: list[StandIn] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def refuse(self, where: str, reason: str) -> None:
        """Adds a record or file that is left out, with the reason."""
        self.unusable.append(Unusable(where, reason))


def problem(error: ValidationError) -> str:
    """The first fault of a record: its field, then the message."""
    first = error.errors(include_url=False)[0]
    if first["type"] == "model_type":
        return f"must be an object with named fields, got {shown(repr(first['input']))}"
    return f"{'.'.join(str(part) for part in first['loc']) or 'record'}: {first['msg']}"
