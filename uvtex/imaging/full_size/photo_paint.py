"""The paint that each pixel of a photo shows: the photo with its light taken off.

Noise is smoothed in the paint, not in the photo. A plain panel has one paint in any light, so more
of it is alike. The noise of the paint is known of each pixel: it is large where the light is dim.
What is wrong in the light from one pixel to the next goes with it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from scipy import ndimage

from uvtex.imaging.compose import linear_from_srgb, srgb_from_linear
from uvtex.imaging.noise import LEAST, REACH, without_noise

BAND = 256
"""Rows of a photo that are worked on at once."""
DIMMEST = 0.01
"""Least light on white paint that paint is divided by."""
SATURATED = 0.97
"""Value of a photo, in parts of its range, from which on it may stand for more light."""
CHANNELS = np.array([1, 2, 4], np.uint8)
"""The bits of red, green and blue."""
MOST_NOISE = 0.5
"""Noise of the paint, as a part of its range, above which it is not told any more."""


class Paint(NamedTuple):
    """The paint that each pixel of a photo shows."""

    srgb: np.ndarray  # uint16 [H, W, 3]
    saturated: np.ndarray  # uint8 [H, W], bits of CHANNELS: here the paint is the least it may be


def paint_of(
    photo: np.ndarray,
    level: float,
    light: np.ndarray,
    shows: np.ndarray,
    place: Callable[[np.ndarray, np.ndarray], np.ndarray],
) -> Paint:
    """The paint of each pixel, without noise.

    Args:
        photo: uint8 or uint16 [H, W, 3], sRGB.
        level: standard deviation of its noise, where 1 is the range of the photo's type.
        light: float32 [F, F, 6], falling and reflected linear light of the camera's picture.
        shows: bool [F, F], pixels of the camera's picture that show paint alone.
        place: gives the rows and columns [2, ...] in these, of rows and columns of the photo.
    """
    out = np.empty(photo.shape, np.uint16)
    saturated = np.empty(photo.shape[:2], np.uint8)
    for start in range(0, len(photo), BAND):
        first = max(start - REACH, 0)
        part = photo[first : start + BAND + REACH]
        rows, columns = np.mgrid[first : first + len(part), : part.shape[1]]
        at = place(rows, columns)
        falling, reflected = np.split(bilinear(light, at), 2, axis=2)
        falling = np.maximum(falling, DIMMEST)
        seen = part / np.float32(np.iinfo(photo.dtype).max)
        linear = (_linear(seen) - reflected) / falling
        paint = srgb(linear) + 12.92 * np.minimum(linear, 0)  # else noise would brighten black
        if level >= LEAST:
            noise = level * _slope(seen) / falling / _slope(paint.clip(0, 1))
            nearest = [x.round().astype(np.int64) for x in at]
            inside = np.all([(x >= 0) & (x < len(shows)) for x in nearest], axis=0)
            row, column = (x.clip(0, len(shows) - 1) for x in nearest)
            counts = inside & shows[row, column]
            paint = without_noise(paint, noise.clip(1e-4, MOST_NOISE), counts)
        inner = seen[start - first :][:BAND]
        saturated[start : start + BAND] = (inner >= SATURATED) @ CHANNELS
        out[start : start + BAND] = (paint[start - first :][:BAND].clip(0, 1) * 65535).round()
    return Paint(out, saturated)


def srgb(linear: np.ndarray) -> np.ndarray:
    """The sRGB values of linear light."""
    values: np.ndarray = srgb_from_linear(torch.from_numpy(np.ascontiguousarray(linear))).numpy()
    return values


def bilinear(picture: np.ndarray, at: Sequence[np.ndarray] | np.ndarray) -> np.ndarray:
    """The values [..., C] of ``picture`` [H, W, C] at rows and columns, two arrays [...]."""
    channels = np.moveaxis(picture, 2, 0)
    return np.stack(
        [ndimage.map_coordinates(c, at, order=1, mode="nearest") for c in channels], axis=-1
    )


def cubic(picture: np.ndarray, table: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The linear values [N, 3] of an sRGB picture at points in pixels, pixel edges whole.

    It is interpolated by the cubic of Keys (1981) with a = -0.5.
    """
    height, width = picture.shape[:2]
    column, row = np.floor(x - 0.5).astype(np.int64), np.floor(y - 0.5).astype(np.int64)
    across, down = (
        _keys((value - 0.5 - whole).astype(np.float32)) for value, whole in ((x, column), (y, row))
    )
    columns = [(column + k - 1).clip(0, width - 1) for k in range(4)]
    total = np.zeros((len(x), 3), np.float32)
    for j in range(4):
        at = (row + j - 1).clip(0, height - 1)
        line = sum(table[picture[at, columns[k]]] * across[k][:, None] for k in range(4))
        total += line * down[j][:, None]
    return total.clip(0, 1)


def _linear(values: np.ndarray) -> np.ndarray:
    light: np.ndarray = linear_from_srgb(torch.from_numpy(values)).numpy()
    return light


def _slope(values: np.ndarray) -> np.ndarray:
    """How fast linear light grows with sRGB values, by IEC 61966-2-1."""
    bright = 2.4 / 1.055 * ((values + 0.055) / 1.055) ** 1.4
    slope: np.ndarray = np.where(values <= 0.04045, 1 / 12.92, bright).astype(np.float32)
    return slope


def _keys(t: np.ndarray) -> tuple[np.ndarray, ...]:
    """The weights of four neighbours, for points that lie ``t`` in [0, 1) behind the second."""
    return (
        ((-0.5 * t + 1) * t - 0.5) * t,
        (1.5 * t - 2.5) * t * t + 1,
        ((-1.5 * t + 2) * t + 0.5) * t,
        (0.5 * t - 0.5) * t * t,
    )
