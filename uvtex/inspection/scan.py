"""The scan of a data set: each file is opened once, and its problems are noted.

Fingerprints, sizes and coverage are kept for the figures of the report.
"""

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
"""Side in texels of the grid on which coverage is counted.

The grid is coarse. On a finer one, the pixels of a small view would leave gaps, and the coverage
of a camera would depend on the size of its views.
"""
LEAST_SIDE = 32
"""In pixels. A smaller picture is odd: every network here would have to enlarge it."""


@dataclass(frozen=True)
class Problem:
    """A broken or an odd file or record.

    A broken one cannot be used. An odd one can be used, but somebody should look at it.
    """

    kind: Literal["broken", "odd"]
    file: str
    what: str
    """What is wrong, without the file's name."""


class Scan:
    """What is kept of the files of one data set.

    Args:
        folder: the folder of the data set.
        problems: the list to which problems are added.
    """

    def __init__(self, folder: Path, problems: list[Problem]) -> None:
        self._folder, self._problems = folder, problems
        self._masks: dict[str, np.ndarray | None] = {}
        self._plates: set[str] = set()
        self._reader = ViewReader()
        self.composed = 0
        """Number of views that have a plate and no file."""
        self.sizes: list[str] = []
        """``WxH`` of each readable view."""
        self.views: dict[str, duplicates.Fingerprint] = {}
        """View -> its fingerprint; broken views are left out."""
        self.textures: dict[str, duplicates.Fingerprint | None] = {}
        """Texture -> its fingerprint; None if it is broken."""
        self.seen: dict[str, np.ndarray | None] = {}
        """UV map -> bool [S, S] with S = :data:`COVERAGE_SIZE`, True where a texel is seen; None
        if the UV map is broken."""

    def add(self, record: manifest.Record) -> None:
        """Opens the files of a record. A file that several records share is opened once."""
        if record.texture not in self.textures:
            self._texture(record.texture)
        if record.uv_map and record.uv_map not in self.seen:
            self._uv_map(record.uv_map)
        if record.plate and record.plate not in self._plates:
            self._plate(record)
        view = self._scan_view(record)
        mask = self._mask(record.mask) if record.mask else None
        if view is not None:
            self.sizes.append(f"{view.shape[1]}x{view.shape[0]}")
            # Without a mask, the shared backdrop would make all views of a camera look alike.
            paint = masks.by_backdrop(view) if mask is None else mask
            self.views[record.view] = duplicates.fingerprint(view, paint)
            if mask is not None and mask.shape != view.shape[:2]:
                sizes = f"{mask.shape[1]}x{mask.shape[0]} and {self.sizes[-1]}"
                self._note(
                    "odd",
                    str(record.mask),
                    f"has another size than its view: {sizes} ({record.view})",
                )

    def _note(self, kind: Literal["broken", "odd"], file: str, what: str) -> None:
        self._problems.append(Problem(kind, file, what))

    def _broken(self, name: str, error: DataError) -> None:
        self._note("broken", name, str(error).removeprefix(f"{self._folder / name}: "))

    def _scan_view(self, record: manifest.Record) -> np.ndarray | None:
        file = ViewFile.of(self._folder, record)
        if not file.composed:
            return self._picture(record.view)
        self.composed += 1
        try:
            pixels = self._reader.read(file)
        except DataError:
            return None  # the broken plate, UV map or texture was noted already
        self._odd_pixels(record.view, pixels)
        return pixels

    def _plate(self, record: manifest.Record) -> None:
        self._plates.add(str(record.plate))
        try:
            self._reader.plate_size(ViewFile.of(self._folder, record))
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
            self._note("odd", name, f"has only {width}x{height} pixels")
        if pixels.reshape(-1, 3).std(axis=0).max() < 1:
            self._note("odd", name, "has one colour all over")

    def _texture(self, name: str) -> None:
        pixels = self._picture(name)
        self.textures[name] = None if pixels is None else duplicates.fingerprint(pixels)
        if pixels is not None and pixels.shape[0] != pixels.shape[1]:
            self._note("odd", name, f"is not square: {pixels.shape[1]}x{pixels.shape[0]}")

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
                self._note("odd", name, "marks no pixel as paint")
            elif mask.mean() > 0.98:
                self._note("odd", name, "marks almost every pixel as paint")
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
            self._note("odd", name, "shows no paint: it has no pixel with UV coordinates")
        elif painted.min() < 0 or painted.max() > 1:
            self._note("odd", name, "has UV coordinates outside the atlas (below 0 or above 1)")
        self.seen[name] = uv_maps.invert(uv, COVERAGE_SIZE)[1]
