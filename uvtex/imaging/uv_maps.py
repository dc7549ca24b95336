"""A view's UV map turned inside out: for each texel, where in the view it is seen."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from scipy import ndimage, sparse

from uvtex.errors import DataError
from uvtex.files import read_npz

REACH = 2
"""Pixels of the UV map, along both sides: a texel seen at a glancing angle leaves gaps."""


def read_uv_map(path: Path) -> np.ndarray:
    """``uv`` of an ``.npz``: float32 [h, w, 2] in [0, 1], NaN where no paint is seen.

    Raises:
        DataError: missing, broken, or of another shape.
    """
    (uv,) = read_npz(path, "uv", dtype=np.float32, what="UV map")
    if uv.ndim != 3 or uv.shape[2] != 2:
        raise DataError(f"{path}: uv must be [h, w, 2], got {list(uv.shape)}")
    return uv


def invert(uv: np.ndarray, size: int, close: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Where each texel is seen.

    Args:
        uv: [h, w, 2] in [0, 1], u right and v up, NaN where no paint is seen.
        size: the texture's side, in texels; row 0 is v = 1.
        close: texels that no pixel hit but whose neighbours were are filled, so many steps.

    Returns:
        flow float32 [2, size, size], x then y in [-1, 1] with the view's outer edges at -1 and 1
        (grid_sample's ``align_corners=False``), the mean over the pixels of one place that see the
        texel (:func:`one_place`); and seen, bool [size, size]. Texels that are not seen take the
        flow of the nearest one that is, or 0 where the view sees no paint at all.
    """
    h, w = uv.shape[:2]
    texels = texels_hit(uv, size)
    rows, columns = np.nonzero(one_place(texels))
    texel = texels[rows, columns]
    hits = np.bincount(texel, minlength=size * size)
    xy = np.stack([(columns + 0.5) / w * 2 - 1, (rows + 0.5) / h * 2 - 1])
    sums = np.stack([np.bincount(texel, axis, minlength=size * size) for axis in xy])
    hit = (hits > 0).reshape(size, size)
    flow = (sums / np.maximum(hits, 1)).reshape(2, size, size).astype(np.float32)
    if not hit.any():
        return flow, hit
    nearest = ndimage.distance_transform_edt(~hit, return_distances=False, return_indices=True)
    seen = ndimage.binary_closing(hit, iterations=close) | hit if close else hit
    return flow[:, nearest[0], nearest[1]], seen


def texels_hit(uv: np.ndarray, size: int) -> np.ndarray:
    """The flat index [h, w] of the texel that each pixel of ``uv`` sees; -1 where it sees none."""
    painted = np.isfinite(uv).all(axis=2)
    u, v = np.moveaxis(np.where(painted[..., None], uv, 0.5), 2, 0)
    row = np.clip(((1 - v) * size).astype(np.int64), 0, size - 1)
    column = np.clip((u * size).astype(np.int64), 0, size - 1)
    return np.where(painted, row * size + column, -1)


def one_place(texels: np.ndarray) -> np.ndarray:
    """Which pixels of ``texels`` [h, w], from :func:`texels_hit`, speak for the texel they see.

    A texel may be seen in several places: where mirrored parts share it, or on both sides of
    something that stands before it. The mean of the places would be none of them. So pixels at most
    REACH apart that see the same texel are joined into places, and the largest place is kept; of
    equally large ones the leftmost.
    """
    pixel = np.flatnonzero(texels.ravel() >= 0)
    place = _joined(texels)
    places = int(place.max(initial=-1)) + 1
    count = np.bincount(place, minlength=places)
    across = np.bincount(place, pixel % texels.shape[1], places) / np.maximum(count, 1)
    first, texel = np.zeros(places, dtype=np.int64), np.zeros(places, dtype=np.int64)
    first[place[::-1]] = pixel[::-1]
    texel[place] = texels.ravel()[pixel]
    # What is left undecided goes to the place whose first pixel, row by row, comes first.
    order = np.lexsort((first, across, -count, texel))
    chosen = np.zeros(places, dtype=bool)
    chosen[order[np.unique(texel[order], return_index=True)[1]]] = True
    kept = np.zeros(texels.size, dtype=bool)
    kept[pixel] = chosen[place]
    return kept.reshape(texels.shape)


def _joined(texels: np.ndarray) -> np.ndarray:
    """The number of the place that each pixel that sees a texel belongs to, row by row [n]."""
    h, w = texels.shape
    painted = texels >= 0
    count = int(painted.sum())
    number = np.cumsum(painted).reshape(h, w) - 1
    ends = [np.zeros((2, 0), dtype=np.int64)]
    for down in range(min(REACH + 1, h)):
        for right in range(-REACH, REACH + 1):
            if (down, right) <= (0, 0) or abs(right) >= w:
                continue
            here = (slice(0, h - down), slice(max(-right, 0), w - max(right, 0)))
            there = (slice(down, h), slice(max(right, 0), w - max(-right, 0)))
            same = painted[here] & (texels[here] == texels[there])
            ends.append(np.stack([number[here][same], number[there][same]]))
    a, b = np.concatenate(ends, axis=1)
    graph = sparse.coo_array((np.ones(len(a), dtype=bool), (a, b)), shape=(count, count))
    place: np.ndarray = sparse.csgraph.connected_components(graph, directed=False)[1]
    return place
