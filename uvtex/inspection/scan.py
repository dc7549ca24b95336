"""A set's files, each opened once: what is broken or odd, and what is kept to compare."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from uvtex.data import manifest, pictures
from uvtex.data.view_files import ViewFile, ViewReader
from uvtex.errors import DataError
from uvtex.imaging import masks, uv_maps
from uvtex.inspection import duplicates

COVERAGE_SIZE = 64
"""Side of the grid on which coverage is counted. Coarse, so that a small view's pixels leave no
gaps between them that a larger one of the same camera would fill."""
LEAST_SIDE = 32
"""Pixels; smaller pictures are odd, no network here takes them without enlarging."""


@dataclass(frozen=True)
class Problem:
    """A file or record that is broken (cannot be used) or odd (can be, and should be looked at)."""

    kind: Literal["broken", "odd"]
    file: str
    what: str


class Scan:
    """Opens each file once; keeps prints, sizes and coverage, and notes problems."""

    def __init__(self, folder: Path, problems: list[Problem]) -> None:
        self._folder, self._problems = folder, problems
        self._masks: dict[str, np.ndarray | None] = {}
        self._plates: set[str] = set()
        self._shots = ViewReader()
        self.composed = 0
        """Views that have a plate and no file."""
        self.sizes: list[str] = []
        self.views: dict[str, duplicates.Print] = {}
        self.textures: dict[str, duplicates.Print | None] = {}
        self.seen: dict[str, np.ndarray | None] = {}  # UV map -> bool [S, S]

    def at(self, record: manifest.Record) -> None:
        """Looks at a record's files."""
        if record.texture not in self.textures:
            self._texture(record.texture)
        if record.uv_map and record.uv_map not in self.seen:
            self._uv_map(record.uv_map)
        if record.plate and record.plate not in self._plates:
            self._plate(record)
        view = self._view(record)
        mask = self._mask(record.mask) if record.mask else None
        if view is not None:
            self.sizes.append(f"{view.shape[1]}x{view.shape[0]}")
            # Without one, a shared backdrop would make all views of a camera look alike.
            cut = masks.by_backdrop(view) if mask is None else mask
            self.views[record.view] = duplicates.fingerprint(view, cut)
            if mask is not None and mask.shape != view.shape[:2]:
                sizes = f"{mask.shape[1]}x{mask.shape[0]}, its view {self.sizes[-1]}"
                self._note("odd", str(record.mask), f"is {sizes} ({record.view})")

    def _note(self, kind: Literal["broken", "odd"], file: str, what: str) -> None:
        self._problems.append(Problem(kind, file, what))

    def _broken(self, name: str, error: DataError) -> None:
        self._note("broken", name, str(error).removeprefix(f"{self._folder / name}: "))

    def _view(self, record: manifest.Record) -> np.ndarray | None:
        shot = ViewFile.of(self._folder, record)
        if not shot.composed:
            return self._picture(record.view)
        self.composed += 1
        try:
            pixels = self._shots.read(shot)
        except DataError:
            return None  # its plate, UV map or texture is broken, and was noted as that
        self._odd_pixels(record.view, pixels)
        return pixels

    def _plate(self, record: manifest.Record) -> None:
        self._plates.add(str(record.plate))
        try:
            self._shots.plate_size(ViewFile.of(self._folder, record))
        except DataError as error:
            if record.uv_map is None or self.seen[record.uv_map] is not None:
                self._broken(str(record.plate), error)

    def _picture(self, name: str) -> np.ndarray | None:
        path = self._folder / name
        try:
            pixels = pictures.read_rgb(path)
            oddities = pictures.describe(path).oddities
        except DataError as error:
            self._broken(name, error)
            return None
        for what in oddities:
            self._note("odd", name, what)
        self._odd_pixels(name, pixels)
        return pixels

    def _odd_pixels(self, name: str, pixels: np.ndarray) -> None:
        height, width = pixels.shape[:2]
        if min(height, width) < LEAST_SIDE:
            self._note("odd", name, f"only {width}x{height} pixels")
        if pixels.reshape(-1, 3).std(axis=0).max() < 1:
            self._note("odd", name, "one colour all over")

    def _texture(self, name: str) -> None:
        pixels = self._picture(name)
        self.textures[name] = None if pixels is None else duplicates.fingerprint(pixels)
        if pixels is not None and pixels.shape[0] != pixels.shape[1]:
            self._note("odd", name, f"not square: {pixels.shape[1]}x{pixels.shape[0]}")

    def _mask(self, name: str) -> np.ndarray | None:
        if name not in self._masks:
            try:
                mask = pictures.read_grey(self._folder / name) > 127
            except DataError as error:
                self._masks[name] = None
                self._broken(name, error)
                return None
            self._masks[name] = mask
            if not mask.any():
                self._note("odd", name, "marks nothing as paint")
            elif mask.mean() > 0.98:
                self._note("odd", name, "marks the whole picture as paint")
        return self._masks[name]

    def _uv_map(self, name: str) -> None:
        self.seen[name] = None
        try:
            uv = uv_maps.read_uv_map(self._folder / name)
        except DataError as error:
            self._broken(name, error)
            return
        painted = uv[np.isfinite(uv).all(axis=2)]
        if not len(painted):
            self._note("odd", name, "sees no paint")
        elif painted.min() < 0 or painted.max() > 1:
            self._note("odd", name, "leads outside the atlas (below 0 or above 1)")
        self.seen[name] = uv_maps.invert(uv, COVERAGE_SIZE)[1]
