"""Checks the files of a source: each is decoded once, before any file is copied."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from uvtex.data import pictures
from uvtex.data.view_files import ViewFile, ViewReader
from uvtex.errors import DataError
from uvtex.imaging import uv_maps
from uvtex.intake.sources import Candidate, Unusable

LEAST_SIDE = 16
"""Smallest side of a picture in pixels; a car in a smaller picture cannot be recognised."""
WITHOUT = "the record is used without it"


def usable(
    candidates: Sequence[Candidate], refused: list[Unusable], notes: list[str]
) -> list[Candidate]:
    """The candidates whose view and texture can be read, without any broken mask, plate or UV map.

    Args:
        refused: receives each candidate or file that is left out, with the reason.
        notes: receives what is unusual about the colours and frames of views and textures.
    """
    check = _Checker()
    good = []
    for candidate in candidates:
        problem = check.view(candidate.shot)
        problem = problem or check.picture("texture", candidate.texture)
        if problem:
            refused.append(Unusable(candidate.where, problem))
            continue
        faults = dict(check.extras(candidate))
        refused += [Unusable(candidate.where, f"{why}; {WITHOUT}") for why in faults.values()]
        without: dict[str, Any] = dict.fromkeys(faults)
        good.append(replace(candidate, **without))
    notes += check.notes()
    return good


class _Checker:
    """Decodes each file once and remembers its fault."""

    def __init__(self) -> None:
        self._known: dict[Hashable, str | None] = {}
        self._shots = ViewReader()
        self._odd: dict[str, list[Path]] = {}

    def notes(self) -> Iterator[str]:
        """What is unusual about pictures, and about how many. A set may have 100,000 of a kind."""
        for oddity, paths in self._odd.items():
            more = f" and {len(paths) - 1} more pictures" if len(paths) > 1 else ""
            yield f"{paths[0].name}{more}: {oddity}"

    def view(self, shot: ViewFile) -> str | None:
        """The fault of a view's file, or of the plate that the view is composed from, or None."""
        return self.plate(shot) if shot.composed else self.picture("view", shot.view)

    def extras(self, candidate: Candidate) -> Iterator[tuple[str, str]]:
        """Field name and fault of each broken mask, plate and UV map."""
        if candidate.mask and (fault := self.mask(candidate.mask)):
            yield "mask", fault
        if candidate.plate and (fault := self.plate(candidate.shot)):
            yield "plate", fault
        if candidate.uv_map and (fault := self.uv_map(candidate.uv_map)):
            yield "uv_map", fault

    def picture(self, name: str, path: Path) -> str | None:
        """The fault of a view or texture, or None."""

        def look() -> None:
            height, width = pictures.read_rgb(path).shape[:2]
            _refuse_small((width, height), path)
            facts = pictures.describe(path)
            for oddity in dict.fromkeys((*facts.colours, *facts.doubts)):
                self._odd.setdefault(oddity, []).append(path)

        return self._once(path, look, name)

    def mask(self, path: Path) -> str | None:
        """The fault of a mask, or None."""
        return self._once(path, lambda: _refuse_empty_mask(pictures.read_grey(path), path), "mask")

    def uv_map(self, path: Path) -> str | None:
        """The fault of a UV map, or None."""

        def look() -> None:
            uv_maps.read_uv_map(path)

        return self._once(path, look, "uv_map")

    def plate(self, shot: ViewFile) -> str | None:
        """The fault of a view's plate, or of the UV map that the plate needs, or None."""
        return self._once(
            (shot.plate, shot.uv_map),
            lambda: _refuse_small(self._shots.plate_size(shot), shot.plate),
            "plate",
        )

    def _once(self, key: Hashable, look: Callable[[], None], name: str) -> str | None:
        if key not in self._known:
            try:
                look()
                self._known[key] = None
            except DataError as error:
                self._known[key] = str(error)
        fault = self._known[key]
        return None if fault is None else f"{name} {fault}"


def _refuse_small(size: tuple[int, int], path: Path | None) -> None:
    width, height = size
    if min(height, width) < LEAST_SIDE:
        raise DataError(f"{path}: {width}x{height} pixels; at least {LEAST_SIDE} a side are needed")


def _refuse_empty_mask(mask: np.ndarray, path: Path) -> None:
    if not (mask > 127).any():
        raise DataError(f"{path}: marks no pixel as paint (255)")
