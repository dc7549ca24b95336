"""What a reader of a source hands on: pairs that may be used, and what may not be and why."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from uvtex.data.shots import Shot

Kind = Literal["manifest", "csv", "metadata"]


@dataclass(frozen=True)
class Candidate:
    """A pair that may be used: its files were there when it was read, or the view's plate was."""

    where: str
    """The record's place in the source, for messages."""
    view: Path
    livery: str
    texture: Path
    mask: Path | None = None
    uv_map: Path | None = None
    camera: str | None = None
    plate: Path | None = None

    @property
    def shot(self) -> Shot:
        """What its view is read or composed from."""
        return Shot(self.view, self.texture, self.uv_map, self.plate)


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
