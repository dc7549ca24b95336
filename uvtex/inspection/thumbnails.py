"""Small pictures for the data report's page, as data URIs."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from uvtex.data import pictures
from uvtex.data.manifest import Record
from uvtex.data.view_files import ViewFile, ViewReader
from uvtex.errors import DataError
from uvtex.imaging import masks, uv_maps

LONGER_SIDE = 112
"""Pixels along a thumbnail's longer side."""

MAP_SIDE = 192
"""Pixels along the longer side of a view with its UV map."""


class Thumbnails:
    """Thumbnails of a set's files. Each is made once. A view without a file is composed."""

    def __init__(self, folder: Path, records: Sequence[Record]) -> None:
        self._folder, self._reader = folder, ViewReader()
        self._with_plate = {record.view: record for record in records if record.plate}
        self._uris: dict[tuple[str, str | None], str | None] = {}

    def uri(self, name: str, mask: str | None = None) -> str | None:
        """A file of the set as a data URI; None where it cannot be read.

        Args:
            name: the file, as the manifest names it.
            mask: a mask of the same size, to be drawn as an outline.
        """
        key = (name, mask)
        if key not in self._uris:
            try:
                self._uris[key] = _jpeg_uri(self._pixels(name, mask))
            except DataError:
                self._uris[key] = None
        return self._uris[key]

    def map_uri(self, view: str, uv_map: str, mask: str | None = None) -> str | None:
        """A view with its UV map drawn over it, as a data URI; None where a file cannot be read.

        Args:
            mask: the view's mask. Its pixels that the map does not know are marked.
        """
        try:
            rgb = self._pixels(view, None)
            uv = uv_maps.read_uv_map(self._folder / uv_map)
            painted = None if mask is None else pictures.read_grey(self._folder / mask) > 127
        except DataError:
            return None
        shown = Image.fromarray(rgb)
        shown.thumbnail((MAP_SIDE, MAP_SIDE), Image.Resampling.BOX)
        if painted is not None:
            grey = Image.fromarray(painted).resize(shown.size, Image.Resampling.NEAREST)
            painted = np.asarray(grey)
        return _uri(Image.fromarray(uv_maps.overlay(np.asarray(shown), uv, painted)), "PNG")

    def _pixels(self, name: str, mask: str | None) -> np.ndarray:
        if name in self._with_plate:
            rgb = self._reader.read(ViewFile.of(self._folder, self._with_plate[name]))
        else:
            rgb = pictures.read_rgb(self._folder / name)
        if mask is None:
            return rgb
        marked = pictures.read_grey(self._folder / mask) > 127
        return masks.overlay(rgb, marked) if marked.shape == rgb.shape[:2] else rgb


def _jpeg_uri(pixels: np.ndarray, quality: int = 82) -> str:
    picture = Image.fromarray(pixels)
    picture.thumbnail((LONGER_SIDE, LONGER_SIDE), Image.Resampling.LANCZOS)
    return _uri(picture, "JPEG", quality=quality)


def heat_uri(share: np.ndarray) -> str:
    """A colour map of values in [0, 1], from near black over blue and green to yellow."""
    stops = np.array([[24, 26, 36], [58, 82, 139], [33, 145, 140], [94, 201, 98], [253, 231, 37]])
    at = np.where(share > 0, 0.12 + 0.88 * share, 0) * (len(stops) - 1)
    channels = [np.interp(at, range(len(stops)), stops[:, channel]) for channel in range(3)]
    return _uri(Image.fromarray(np.stack(channels, axis=2).astype(np.uint8)), "PNG")


def _uri(picture: Image.Image, kind: str, **options: int) -> str:
    content = io.BytesIO()
    picture.save(content, kind, **options)
    return f"data:image/{kind.lower()};base64,{base64.b64encode(content.getvalue()).decode()}"
