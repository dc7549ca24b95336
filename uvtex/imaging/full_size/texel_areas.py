"""The area that each texel of a texture covers in a photo, as a parallelogram."""

from __future__ import annotations

import numpy as np
from scipy import sparse

PARTS = 7
"""Parts of a texel, along each side, that are counted to the pixels they lie in."""
LONGEST = 4.0
"""Longest side of a texel in the photo, in sides of a square of the same area.

A longer step to the next texel leads to another panel.
"""


def shares_of(
    middle: np.ndarray,
    row: np.ndarray,
    column: np.ndarray,
    width: np.ndarray,
    tile: tuple[int, int],
    photo: tuple[int, int],
) -> tuple[np.ndarray, sparse.csr_array]:
    """The pixels that N texels of a tile cover, and how much of them.

    Args:
        middle: [N, 2], x and y of the texels in pixels, pixel edges whole.
        row, column: int [N], of the texels in the tile.
        width: [N], side of a square of the same area, in pixels.
        tile: rows and columns of the tile.
        photo: rows and columns of the photo. What lies outside counts to its border.

    Returns:
        The numbers of n pixels, counted row by row, int [n], and the part of each pixel that each
        texel of the tile covers, float32 [n, rows * columns].
    """
    sides = _sides(middle, row, column, width, tile)
    steps = ((np.arange(PARTS) + 0.5) / PARTS - 0.5).astype(np.float32)
    area = np.repeat((width / PARTS) ** 2, PARTS).astype(np.float32)
    texel = np.repeat((row * tile[1] + column).astype(np.int32), PARTS)
    texels, pixels = tile[0] * tile[1], photo[0] * photo[1]
    found = sparse.csr_array((texels, pixels), dtype=np.float32)
    for down in steps:  # a row of parts at a time, for the memory
        part = middle[:, None] + (steps[:, None] * sides[:, None, 0] + down * sides[:, None, 1])
        across, below = np.moveaxis(part.astype(np.int32), 2, 0)
        place = below.clip(0, photo[0] - 1) * photo[1] + across.clip(0, photo[1] - 1)
        line = sparse.coo_array((area, (texel, place.ravel())), shape=(texels, pixels))
        found = found + line.tocsr()
    places, number = np.unique(found.indices, return_inverse=True)
    shape = texels, len(places)
    return places, sparse.csr_array((found.data, number, found.indptr), shape=shape).T.tocsr()


def _sides(
    middle: np.ndarray,
    row: np.ndarray,
    column: np.ndarray,
    width: np.ndarray,
    tile: tuple[int, int],
) -> np.ndarray:
    """The sides of texels, [N, 2, 2]: the step to the right and the step down, x and y of each.

    They are half the way between the neighbours on both sides, or the way to one of them. Where no
    neighbour tells, a texel is a square.
    """
    places = np.full((tile[0] + 2, tile[1] + 2, 2), np.nan, np.float32)
    places[row + 1, column + 1] = middle
    found = np.empty((len(middle), 2, 2), np.float32)
    for side, (down, right) in enumerate(((0, 1), (1, 0))):
        after = places[row + 1 + down, column + 1 + right] - middle
        before = middle - places[row + 1 - down, column + 1 - right]
        both = np.stack([after, before])
        near = np.linalg.norm(both, axis=2) <= LONGEST * width
        count = near.sum(axis=0)[:, None]
        mean = np.where(near[..., None], both, 0).sum(axis=0) / np.maximum(count, 1)
        found[:, side] = np.where(count > 0, mean, width[:, None] * (right, down))
    return found
