"""Pictures for the data report's page, small and inside of it."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from html import escape
from pathlib import Path

import numpy as np
from PIL import Image

from uvtex.data import pictures
from uvtex.data.manifest import Record
from uvtex.data.view_files import ViewFile, ViewReader
from uvtex.errors import DataError
from uvtex.imaging import masks

THUMB = 112
"""Pixels along a thumbnail's longer side."""


class Thumbs:
    """Thumbnails as data URIs, each made once; of views without a file, composed."""

    def __init__(self, folder: Path, records: Sequence[Record]) -> None:
        self._folder, self._shots = folder, ViewReader()
        self._plated = {record.view: record for record in records if record.plate}
        self._made: dict[tuple[str, str | None], str] = {}

    def __call__(self, name: str, mask: str | None = None, alt: str = "") -> str:
        """An ``img`` of a file of the set, outlined by its mask, or a box that says it is not."""
        key = (name, mask)
        if key not in self._made:
            try:
                self._made[key] = _uri(self._pixels(name, mask))
            except DataError:
                self._made[key] = ""
        if not self._made[key]:
            return '<div class="missing">unreadable</div>'
        return f'<img loading="lazy" src="{self._made[key]}" alt="{escape(alt or name)}">'

    def _pixels(self, name: str, mask: str | None) -> np.ndarray:
        if name in self._plated:
            rgb = self._shots.read(ViewFile.of(self._folder, self._plated[name]))
        else:
            rgb = pictures.read_rgb(self._folder / name)
        if mask is None:
            return rgb
        marked = pictures.read_grey(self._folder / mask) > 127
        return masks.overlay(rgb, marked) if marked.shape == rgb.shape[:2] else rgb


def _uri(pixels: np.ndarray, quality: int = 82) -> str:
    picture = Image.fromarray(pixels)
    picture.thumbnail((THUMB, THUMB), Image.Resampling.LANCZOS)
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=quality)
    return f"data:image/jpeg;base64,{base64.b64encode(out.getvalue()).decode()}"


def heat(share: np.ndarray) -> str:
    """A picture of values in [0, 1], from near black over blue and green to yellow."""
    stops = np.array([[24, 26, 36], [58, 82, 139], [33, 145, 140], [94, 201, 98], [253, 231, 37]])
    at = np.where(share > 0, 0.12 + 0.88 * share, 0) * (len(stops) - 1)
    pixels = [np.interp(at, range(len(stops)), stops[:, channel]) for channel in range(3)]
    out = io.BytesIO()
    Image.fromarray(np.stack(pixels, axis=2).astype(np.uint8)).save(out, "PNG")
    uri = base64.b64encode(out.getvalue()).decode()
    return f'<img src="data:image/png;base64,{uri}" alt="Atlas, by how many cameras see a texel">'
