"""The noise of a photo: how strong it is, and its removal where no edge is.

A plain panel shows noise that hardly anyone sees in the photo. In a texture it counts: SSIM on
plain paint falls to a half at a noise of 3 %.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

LEAST = 0.002
"""Noise, as a part of the range, below which a photo is left as it is. Rounding makes 0.001."""
RADIUS = 2
"""Radius of the window, in pixels."""
EDGE = 2.0
"""Standard deviation in a window, in parts of the noise, that is half kept. An edge has more."""
BAND = 256
"""Rows of a photo that are worked on at once."""


def noise_level(photo: np.ndarray, row: np.ndarray, column: np.ndarray) -> float:
    """Standard deviation of the noise at some pixels, where 1 is the range of the photo's type.

    It is the median of the differences across both diagonals of 2 x 2 pixels (Donoho and Johnstone
    1994), so edges do not count while less than half of the pixels lie at one.

    Args:
        photo: uint8 or uint16 [H, W, 3], sRGB, at least 2 x 2 pixels.
        row, column: int [N] each, the pixels.
    """
    if not len(row):
        return 0.0
    top, left = row.clip(0, photo.shape[0] - 2), column.clip(0, photo.shape[1] - 2)
    a, b, c, d = (
        photo[top + i, left + j].astype(np.int32) for i, j in ((0, 0), (0, 1), (1, 0), (1, 1))
    )
    size = np.median(np.abs(a - b - c + d)) / 2 / 0.6745
    return float(size / np.iinfo(photo.dtype).max)


def without_noise(photo: np.ndarray, level: float) -> np.ndarray:
    """The photo, smoothed where it varies no more than noise of this ``level`` does: uint16.

    It is the guided filter of He, Sun and Tang (2013) with the photo as its own guide. A photo with
    less noise than LEAST is returned itself.
    """
    if level < LEAST:
        return photo
    out = np.empty(photo.shape, np.uint16)
    margin = 2 * RADIUS
    for start in range(0, len(photo), BAND):
        first = max(start - margin, 0)
        part = photo[first : start + BAND + margin] / np.float32(np.iinfo(photo.dtype).max)
        smooth = _guided(part, (EDGE * level) ** 2)[start - first :][:BAND]
        out[start : start + BAND] = (smooth.clip(0, 1) * 65535).round()
    return out


def _guided(picture: np.ndarray, variance: float) -> np.ndarray:
    mean = _mean(picture)
    varies = (_mean(picture * picture) - mean * mean).mean(axis=2, keepdims=True).clip(0)
    kept = varies / (varies + variance)
    smooth: np.ndarray = _mean(kept) * picture + _mean(mean * (1 - kept))
    return smooth


def _mean(picture: np.ndarray) -> np.ndarray:
    side = 2 * RADIUS + 1
    mean: np.ndarray = ndimage.uniform_filter(picture, (side, side, 0))
    return mean
