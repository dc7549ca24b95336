"""How far a lossy file format may have changed a picture's brightness."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import JpegImagePlugin

from uvtex.data import pictures

BLOCK = 8
"""Side of the blocks that a JPEG is made of, in pixels."""
LOSSY = ("WEBP", "HEIF", "AVIF", "JPEG2000")
"""Lossy formats whose files do not say how coarsely they were coded, or say it in another way."""
ASSUMED_QUALITY = 90
"""The quality of the JPEG as which such files count."""
_ANNEX_K = (
    *(16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55),
    *(14, 13, 16, 24, 40, 57, 69, 56, 14, 17, 22, 29, 51, 87, 80, 62),
    *(18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92),
    *(49, 64, 78, 87, 103, 121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99),
)
"""The luminance table of JPEG at quality 50, by rows (ITU-T T.81, table K.1)."""


def brightness_error(path: Path, reduction: float = 1.0) -> float:
    """Standard deviation of a picture's brightness from what was coded, in levels of 255, at most.

    A JPEG rounds each of the 64 cosine coefficients of a block to a multiple of a step, whose table
    is in the file. The errors are independent, and uniform at most. Blocks whose coefficients were
    all zero have less. 0 for a format without loss.

    Args:
        reduction: so many pixels of the file become one, in each direction, by their mean.

    Raises:
        DataError: see :func:`uvtex.data.pictures.read_rgb`.
    """
    with pictures.opened(path) as file:
        if isinstance(file, JpegImagePlugin.JpegImageFile):
            # A grey or a broken file may have no table of its own.
            table: Sequence[int] = file.quantization.get(0, _table(ASSUMED_QUALITY))
        elif file.format in LOSSY:
            table = _table(ASSUMED_QUALITY)
        else:
            return 0.0
    steps = np.asarray(table, dtype=float).reshape(BLOCK, BLOCK)
    kept = _kept(max(1.0, reduction)) ** 2
    return math.sqrt((steps**2 / 12 * np.outer(kept, kept)).sum() / BLOCK**2)


def _table(quality: int) -> list[int]:
    """The table of the usual coder at a quality of 50 to 100."""
    scale = 200 - 2 * quality
    return [max(1, (step * scale + 50) // 100) for step in _ANNEX_K]


def _kept(reduction: float) -> np.ndarray:
    """The share of each frequency of a block that a mean over ``reduction`` pixels keeps, [8]."""
    half = np.arange(1, BLOCK) * np.pi / (2 * BLOCK)
    return np.append(1.0, np.sin(reduction * half) / (reduction * np.sin(half)))
