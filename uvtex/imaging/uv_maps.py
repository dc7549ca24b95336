"""Invert the UV map of a view: find the position of each texel in the view."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
from scipy import ndimage, sparse

from uvtex.errors import DataError
from uvtex.files import read_npz

KNOWN = 0.5
"""The confidence from which on a pixel's place counts as known."""
USED = 0.1
"""The confidence from which on a pixel's place is written. Networks use it by its confidence."""
REACH = 2
"""The largest distance of two joined pixels, in rows and in columns of the UV map.

A texel that is seen at a glancing angle leaves gaps between its pixels.
"""


def read_uv_map(path: Path) -> np.ndarray:
    """Read the places that are known: float32 [h, w, 2] in [0, 1], u right and v up.

    Pixels without paint are NaN, and pixels whose confidence is below KNOWN.

    Raises:
        DataError: as :func:`read_doubtful_map`.
    """
    uv, confidence = read_doubtful_map(path)
    return np.where(confidence[..., None] >= KNOWN, uv, np.float32(np.nan))


def array_names(stiffness: float | None) -> tuple[str, str]:
    """The arrays of a file that have a map of this stiffness and its confidence.

    None stands for the file's first map, the only one of most files.
    """
    end = "" if stiffness is None else f"@{stiffness:g}"
    return f"uv{end}", f"confidence{end}"


def read_doubtful_map(path: Path, stiffness: float | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Read ``uv`` from an ``.npz`` file, and how sure it is.

    Args:
        stiffness: which of the file's maps, see :func:`array_names`.

    Returns:
        ``uv``, float32 [h, w, 2] as :func:`read_uv_map` returns it, with the places that are
        unsure, and the confidence, float32 [h, w] in [0, 1]. A map without one is exact: all 1.
        A confidence with fewer samples than ``uv`` is repeated.

    Raises:
        DataError: the file is missing or broken, an array has another shape, or a confidence is
            not in [0, 1].
    """
    name, sure = array_names(stiffness)
    uv, confidence = read_npz(path, name, dtype=np.float32, what="UV map", optional=[sure])
    if uv.ndim != 3 or uv.shape[2] != 2:
        raise DataError(f"{path}: uv must be [h, w, 2], got {list(uv.shape)}")
    if not confidence.size:
        return uv, np.ones(uv.shape[:2], np.float32)
    if confidence.ndim != 2:
        raise DataError(f"{path}: confidence must be [h, w], got {list(confidence.shape)}")
    if not ((confidence >= 0) & (confidence <= 1)).all():  # nor may it be NaN
        raise DataError(f"{path}: confidence must lie in [0, 1]")
    sides = zip(uv.shape[:2], confidence.shape, strict=True)
    rows, columns = (np.arange(many) * few // many for many, few in sides)
    return uv, confidence[rows][:, columns]


def checksums(path: Path) -> list[tuple[str, int]]:
    """The names and the CRC-32 of the arrays of a file's maps but the first, as the ZIP has them.

    Raises:
        DataError: the file is missing or broken.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            return sorted((a.filename, a.CRC) for a in archive.infolist() if "@" in a.filename)
    except (OSError, zipfile.BadZipFile) as error:
        raise DataError(f"{path}: not a readable UV map: {error}") from None


def invert(uv: np.ndarray, size: int, close: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Find the position of each texel in the view.

    Args:
        uv: [h, w, 2] in [0, 1], u right and v up, NaN for pixels without paint.
        size: the texture's side, in texels. Row 0 is v = 1.
        close: number of steps of a binary closing of ``seen``. The closing adds texels that no
            pixel hit if their neighbours were hit.

    Returns:
        ``flow``, float32 [2, size, size], and ``seen``, bool [size, size]. ``seen`` is true for hit
        texels and for the texels that the closing adds. ``flow`` is x then y in [-1, 1].
        The view's outer edges are at -1 and 1 (grid_sample's ``align_corners=False``).
        The flow of a texel is the mean position of the pixels that :func:`one_place` keeps for it.
        A texel that no pixel hit has the flow of the nearest hit texel. If the view sees no paint
        at all, every flow is 0.
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
    """The flat index of the texel that each pixel of ``uv`` sees: [h, w], -1 for no texel."""
    painted = np.isfinite(uv).all(axis=2)
    u, v = np.moveaxis(np.where(painted[..., None], uv, 0.5), 2, 0)
    row = np.clip(((1 - v) * size).astype(np.int64), 0, size - 1)
    column = np.clip((u * size).astype(np.int64), 0, size - 1)
    return np.where(painted, row * size + column, -1)


def one_place(texels: np.ndarray) -> np.ndarray:
    """Select the pixels that determine the position of their texel: bool [h, w].

    ``texels`` is [h, w], from :func:`texels_hit`. A view can show one texel in several places.
    Mirrored parts can share the texel, or an object can stand in front of its middle. The mean of
    several places is not a place of the texel. Pixels that see the same texel and lie at most
    REACH apart are therefore joined into one place. The function keeps the largest place of each
    texel. Among equally large places it keeps the leftmost place.
    """
    pixel = np.flatnonzero(texels.ravel() >= 0)
    place = _joined(texels)
    places = int(place.max(initial=-1)) + 1
    count = np.bincount(place, minlength=places)
    across = np.bincount(place, pixel % texels.shape[1], places) / np.maximum(count, 1)
    first, texel = np.zeros(places, dtype=np.int64), np.zeros(places, dtype=np.int64)
    first[place[::-1]] = pixel[::-1]
    texel[place] = texels.ravel()[pixel]
    # If size and column are equal, the place with the first pixel in row order is kept.
    order = np.lexsort((first, across, -count, texel))
    chosen = np.zeros(places, dtype=bool)
    chosen[order[np.unique(texel[order], return_index=True)[1]]] = True
    kept = np.zeros(texels.size, dtype=bool)
    kept[pixel] = chosen[place]
    return kept.reshape(texels.shape)


def _joined(texels: np.ndarray) -> np.ndarray:
    """The place number of each of the n pixels that see a texel, in row order: [n]."""
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


def overlay(rgb: np.ndarray, uv: np.ndarray, painted: np.ndarray | None) -> np.ndarray:
    """Draws a UV map over a picture: u as red, v as green. Paint without a place is magenta.

    Args:
        rgb: uint8 [H, W, 3].
        uv: [h, w, 2] in [0, 1], NaN for pixels without a place; resampled to the picture.
        painted: bool [H, W], the picture's mask; None if there is none.

    Returns:
        uint8 [H, W, 3]. Pixels that show no paint are dimmed.
    """
    height, width = rgb.shape[:2]
    rows, columns = (
        ((np.arange(count) + 0.5) / count * have).astype(np.int64)
        for count, have in zip((height, width), uv.shape[:2], strict=True)
    )
    place = uv[rows][:, columns]
    known = np.isfinite(place).all(axis=2)
    colour = np.dstack([np.where(known[..., None], place, 0) * 235 + 20, np.full(known.shape, 70)])
    grey = rgb.mean(axis=2, keepdims=True)
    out = np.where(known[..., None], 0.7 * colour + 0.3 * grey, rgb // 4 + 24.0)
    if painted is not None:
        out[painted & ~known] = (220, 0, 180)
    return out.round().clip(0, 255).astype(np.uint8)
