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
EDGES = (2.0, 1.5)
"""Standard deviation in a window, in parts of the noise, that is half kept: in each of two passes.

An edge has more. The second pass takes away what the first has left beside edges.
"""
REACH = 2 * RADIUS * len(EDGES)
"""Distance of the farthest pixel that has a part in a smoothed one."""


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


def without_noise(picture: np.ndarray, noise: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """The picture, smoothed where it varies no more than its noise does: float32 [H, W, 3].

    It is the guided filter of He, Sun and Tang (2013) with the picture as its own guide. It changes
    from smoothing to keeping more steeply than theirs, so that edges keep their height.

    Args:
        picture: float32 [H, W, 3].
        noise: float32 [H, W, 3], above 0: standard deviation of the noise of each value.
        counts: bool [H, W]. Other pixels stay, and have no part in these.
    """
    weight = counts[..., None].astype(np.float32)
    total = np.maximum(_mean(weight), 1e-6)

    def mean(values: np.ndarray) -> np.ndarray:
        found: np.ndarray = _mean(values * weight) / total
        return found

    smooth = picture
    for edge in EDGES:
        middle = mean(smooth)
        varies = (mean(smooth * smooth) - middle * middle).clip(0)
        varies = (varies / (edge * noise) ** 2).max(axis=2, keepdims=True)  # any channel's edge
        kept = varies**2 / (varies**2 + 1)
        filtered = mean(kept) * smooth + mean(middle * (1 - kept))
        smooth = np.where(counts[..., None], filtered, picture)
    return smooth


def _mean(picture: np.ndarray) -> np.ndarray:
    side = 2 * RADIUS + 1
    mean: np.ndarray = ndimage.uniform_filter(picture, (side, side, 0))
    return mean
