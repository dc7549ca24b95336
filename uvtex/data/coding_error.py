"""How far a lossy file format may have changed a picture's brightness."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, JpegImagePlugin

from uvtex.data import pictures

BLOCK = 8
"""Side of the blocks that a JPEG is made of, in pixels."""
LOSSY = ("WEBP", "HEIF", "AVIF", "JPEG2000")
"""Lossy formats whose files do not say how coarsely they were coded, or say it in another way."""
ASSUMED_QUALITY = 90
"""The quality of the JPEG as which such files count."""


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
            table = file.quantization.get(0) or _assumed()
        elif file.format in LOSSY:
            table = _assumed()
        else:
            return 0.0
    steps = np.asarray(table, dtype=float).reshape(BLOCK, BLOCK)
    kept = _kept(max(1.0, reduction)) ** 2
    return math.sqrt((steps**2 / 12 * np.outer(kept, kept)).sum() / BLOCK**2)


def _assumed() -> Sequence[int]:
    """The luminance table that Pillow gives a JPEG of ASSUMED_QUALITY, by rows."""
    content = io.BytesIO()
    Image.new("L", (BLOCK, BLOCK)).save(content, "JPEG", quality=ASSUMED_QUALITY)
    with Image.open(content) as file:
        assert isinstance(file, JpegImagePlugin.JpegImageFile)
        return file.quantization[0]


def _kept(reduction: float) -> np.ndarray:
    """The share of each frequency of a block that a mean over ``reduction`` pixels keeps, [8]."""
    half = np.arange(1, BLOCK) * np.pi / (2 * BLOCK)
    return np.append(1.0, np.sin(reduction * half) / (reduction * np.sin(half)))
