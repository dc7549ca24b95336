"""Super-resolution: texels that are smaller than the pixels of the photos.

A pixel shows the mean of the texels that it covers. To interpolate the pixels is to blur the
texture by a pixel. Here the texture is sought whose means are the pixels of all photos (Irani and
Peleg 1991; for textures: Goldluecke and Cremers 2009). Many textures are. Of these it is one with a
small total variation (Rudin, Osher and Fatemi 1992): liveries are plain areas with sharp edges.

Where the UV map is a little off, a pixel is told to show the wrong side of an edge. So large errors
count less (the loss of Cauchy's distribution; Holland and Welsch 1977).

A saturated pixel only says how bright its texels are at least (a censored observation; Tobin 1958).
Such texels take the paint of those around them, as far as that is bright enough.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch

from uvtex.imaging.compose import linear_from_srgb, srgb_from_linear
from uvtex.imaging.full_size.photo_texels import Pixels

TILE = 512
"""Side of the part of a texture that is worked on at once, in texels."""
MARGIN = 48
"""Texels around a tile that are worked on with it, more than a pixel covers."""
PLAIN = 0.02
"""Weight of the total variation, beside a squared error of the pixels of confidence 1."""
DOUBTED = 0.15
"""Error of a pixel's sRGB value, in [0, 1], at which it counts half.

An edge of the livery that lies elsewhere by the UV map than in the photo makes such errors.
"""
SMALL = 0.001
"""Change from texel to texel below which the variation is squared, so that it has a gradient."""
POWER = 0.5
"""Power of the confidence by which pixels count."""
STEPS = 80
FIRST_STEP = 0.02
"""Largest change of a texel in the first of the steps. It falls to 0 with the last, linearly."""
MOMENTS = 0.9, 0.99
"""Decay of the means of the gradient and of its square (Adam; Kingma and Ba 2015)."""
LEVELS = 65535
"""Levels of the tables of sRGB and linear light."""


def tiles(size: int) -> Iterator[tuple[slice, slice]]:
    """The rows and columns of the tiles of a texture."""
    starts = range(0, size, TILE)
    return (
        (slice(row, min(row + TILE, size)), slice(column, min(column + TILE, size)))
        for row in starts
        for column in starts
    )


def around(part: slice, size: int) -> slice:
    """The rows, or the columns, of a tile and its margin."""
    return slice(max(part.start - MARGIN, 0), min(part.stop + MARGIN, size))


def resolved(start: np.ndarray, free: np.ndarray, photos: Sequence[Pixels]) -> np.ndarray:
    """A tile of a texture by the pixels that show it: sRGB, float32 [h, w, 3] in [0, 1].

    Args:
        start: the tile by interpolation, likewise.
        free: bool [h, w], texels that may change.
        photos: the pixels of each photo that show the tile.
    """
    given = [
        (one, one.shares.T.tocsr(), one.sure[:, None] ** POWER) for one in photos if len(one.sure)
    ]
    if not given or not free.any():
        return start
    linear, srgb = _table(linear_from_srgb), _table(srgb_from_linear)
    texture, moves = start.astype(np.float32), free[..., None]
    mean, square = np.zeros_like(texture), np.zeros_like(texture)
    for step in range(STEPS):
        light = _looked_up(linear, texture).reshape(-1, 3)
        error = np.zeros_like(light)
        for one, back, weight in given:
            off = _looked_up(srgb, one.shares @ light) - one.paint
            off = np.where(one.least, off.clip(max=0), off)
            error += back @ (weight * off / (1 + (off / DOUBTED) ** 2))
        gradient = moves * (2 * error.reshape(texture.shape) + PLAIN * _variation(texture))
        mean += (1 - MOMENTS[0]) * (gradient - mean)
        square += (1 - MOMENTS[1]) * (gradient * gradient - square)
        first, second = (1 - decay ** (step + 1) for decay in MOMENTS)
        size = FIRST_STEP * (1 - step / STEPS)
        texture -= size * (mean / first) / (np.sqrt(square / second) + 1e-6)
        np.clip(texture, 0, 1, out=texture)
    return texture


def _variation(texture: np.ndarray) -> np.ndarray:
    """The gradient of the total variation of a picture [h, w, 3], its channels together.

    The differences to the right and down lean to one diagonal. So it is the mean with those to the
    left and up.
    """
    back = _one_sided(texture[::-1, ::-1])[::-1, ::-1]
    gradient: np.ndarray = (_one_sided(texture) + back) / 2
    return gradient


def _one_sided(texture: np.ndarray) -> np.ndarray:
    """The same by the differences to the right and down alone."""
    right, down = np.zeros_like(texture), np.zeros_like(texture)
    right[:, :-1], down[:-1] = np.diff(texture, axis=1), np.diff(texture, axis=0)
    length = (right * right + down * down).sum(axis=2, keepdims=True)
    length = np.sqrt(length + np.float32(SMALL**2))
    right /= length
    down /= length
    gradient: np.ndarray = -right - down
    gradient[:, 1:] += right[:, :-1]
    gradient[1:] += down[:-1]
    return gradient


def _table(convert: Callable[[torch.Tensor], torch.Tensor]) -> np.ndarray:
    """The values of a conversion of colours, at LEVELS + 1 places in [0, 1]."""
    found: np.ndarray = convert(torch.arange(LEVELS + 1) / LEVELS).numpy()
    return found


def _looked_up(table: np.ndarray, values: np.ndarray) -> np.ndarray:
    """What a table has for ``values`` in [0, 1]."""
    found: np.ndarray = table[(values * LEVELS + 0.5).astype(np.int32).clip(0, LEVELS)]
    return found
