"""The flow of a view at any texture size: where each texel lies in the view.

A view's UV map is a grid of points, each with its place in the texture. Neighbouring points of one
panel span a triangle there. Drawing all triangles into the texture gives every texel its place in
the view, exactly at the points and linear between them. No triangle crosses a jump of the UV map,
which is where one panel ends and another begins.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy import ndimage

LONGEST = 3.0
"""Longest edge of a triangle, in edges of its neighbourhood: a longer one is a jump."""
SURE = 0.004
"""An edge up to this long, in parts of the texture, is never a jump."""
GLANCING = 4.0
"""Longest edge beside a rim, in usual edges of the view. A glancing view is not extended."""
CANDIDATES = 2**20
"""Largest number of texels that are tested against triangles in one step."""
AT_ONCE = 4096
"""Largest number of triangles in one step."""


def full_flow(uv: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Where each texel of a texture of ``size`` texels a side lies in the view.

    Args:
        uv: [h, w, 2] in [0, 1], u right and v up, NaN for pixels without paint.

    Returns:
        ``flow``, float32 [size, size, 2], x then y in [-1, 1], NaN for texels that are not seen;
        and ``scale``, float32 [size, size], the width of the texel in the view, on [-1, 1], 0 for
        texels that are not seen. Of several places of a texel, the largest is taken.
    """
    flow = np.full((size, size, 2), np.nan, dtype=np.float32)
    scale = np.zeros((size, size), dtype=np.float32)
    triangles = _triangles(uv, size)
    corners, places = triangles[..., :2], triangles[..., 2:]
    areas = _area(corners), _area(places)
    drawn = (np.abs(areas[0]) > 1e-9) & (np.abs(areas[1]) > 1e-15)
    grows = np.sqrt(np.abs(areas[1][drawn]) / np.abs(areas[0][drawn])).astype(np.float32)
    corners, places = corners[drawn], places[drawn]
    order = np.argsort(grows, kind="stable")  # the largest are drawn last, over the others
    for part in _batches(corners, order):
        _draw(flow, scale, corners[part], places[part], grows[part])
    return flow, scale


def _triangles(uv: np.ndarray, size: int) -> np.ndarray:
    """Corners of triangles, [N, 3, 4]: place in the texture in texels, then place in the view."""
    height, width = uv.shape[:2]
    x = (np.arange(width) + 0.5) / width * 2 - 1
    y = (np.arange(height) + 0.5) / height * 2 - 1
    texels = [uv[..., 0] * size - 0.5, (1 - uv[..., 1]) * size - 0.5]
    points = np.stack([*texels, *np.meshgrid(x, y)], axis=2)
    across, down = _joined(uv, axis=1), _joined(uv, axis=0)
    found = [_inner(points, across, down)]
    for _ in range(2):
        found.append(_rim(points, across, down))
        found.append(_rim(points[:, ::-1], across[:, ::-1], down[:, ::-1]))
        points, across, down = points.swapaxes(0, 1), down.T, across.T
    return np.concatenate(found)


def _inner(points: np.ndarray, across: np.ndarray, down: np.ndarray) -> np.ndarray:
    """The triangles between the points. Four points that are one panel make two."""
    top, bottom, left, right = across[:-1], across[1:], down[:, :-1], down[:, 1:]
    a, b, c, d = points[:-1, :-1], points[:-1, 1:], points[1:, :-1], points[1:, 1:]
    whole = top & bottom & left & right
    split = (
        (top & left, (a, b, c)),
        (right & bottom, (b, d, c)),
        (top & right & ~whole, (a, b, d)),
        (left & bottom & ~whole, (a, d, c)),
    )
    return np.concatenate([np.stack([p[chosen] for p in of], axis=1) for chosen, of in split])


def _rim(points: np.ndarray, across: np.ndarray, down: np.ndarray) -> np.ndarray:
    """The triangles to the right of each panel's last points, half a step wide.

    A pixel shows half a step more than its middle.
    """
    ends = across.copy()
    ends[:, :-1] &= ~across[:, 1:]  # joined to the left, and not to the right
    last, before = points[:, 1:], points[:, :-1]
    step = np.linalg.norm((last - before)[..., :2], axis=2)
    if across.any():
        ends &= step <= GLANCING * np.median(step[across])
    beyond = last + (last - before) / 2
    strip = ends[:-1] & ends[1:] & down[:, 1:]
    a, b, c, d = (p[strip] for p in (last[:-1], beyond[:-1], last[1:], beyond[1:]))
    return np.concatenate([np.stack([a, b, c], axis=1), np.stack([b, d, c], axis=1)])


def _joined(uv: np.ndarray, axis: int) -> np.ndarray:
    """Whether each two neighbours along ``axis`` are of one panel: bool, one less along it.

    They are if their distance in the texture is about that of their neighbours.
    """
    step = np.linalg.norm(np.diff(uv, axis=axis), axis=2)
    step = np.where(np.isfinite(step), step, np.inf)
    usual = ndimage.percentile_filter(step, 30, size=5, mode="nearest")
    near: np.ndarray = np.isfinite(step) & (step <= np.maximum(LONGEST * usual, SURE))
    return near


def _area(corners: np.ndarray) -> np.ndarray:
    """Twice the signed areas of triangles [N, 3, 2]: [N]."""
    a, b = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    area: np.ndarray = a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]
    return area


def _batches(corners: np.ndarray, order: np.ndarray) -> Iterator[np.ndarray]:
    """Parts of ``order`` whose boxes have about CANDIDATES texels together."""
    extent = (np.ceil(np.ptp(corners, axis=1)).astype(np.int64) + 1)[order]
    start = 0
    while start < len(order):
        count = min(AT_ONCE, len(order) - start)
        while count > 1:
            wide, tall = extent[start : start + count].max(axis=0)
            if count * wide * tall <= CANDIDATES:
                break
            count //= 2
        yield order[start : start + count]
        start += count


def _draw(
    flow: np.ndarray,
    scale: np.ndarray,
    corners: np.ndarray,
    places: np.ndarray,
    grows: np.ndarray,
) -> None:
    """Draws triangles into ``flow`` and ``scale``, a later one over an earlier one."""
    size = len(flow)
    low = np.ceil(corners.min(axis=1)).astype(np.int64)
    high = np.floor(corners.max(axis=1)).astype(np.int64)
    wide, tall = np.maximum(high - low + 1, 0).max(axis=0)
    if not wide or not tall:
        return
    dx, dy = np.meshgrid(np.arange(wide), np.arange(tall))
    column = low[:, :1] + dx.ravel()
    row = low[:, 1:] + dy.ravel()
    first, edge_b, edge_c = corners[:, :1], corners[:, 1:2], corners[:, 2:]
    across, down = column - first[..., 0], row - first[..., 1]
    bx, by = (edge_b - first)[..., 0], (edge_b - first)[..., 1]
    cx, cy = (edge_c - first)[..., 0], (edge_c - first)[..., 1]
    area = bx * cy - by * cx
    b = (across * cy - down * cx) / area
    c = (down * bx - across * by) / area
    edge = -1e-6
    inside = (b >= edge) & (c >= edge) & (b + c <= 1 - edge)
    inside &= (column >= 0) & (column < size) & (row >= 0) & (row < size)
    number, _ = np.nonzero(inside)
    b, c, column, row = b[inside], c[inside], column[inside], row[inside]
    p = places[number]
    at = p[:, 0] + b[:, None] * (p[:, 1] - p[:, 0]) + c[:, None] * (p[:, 2] - p[:, 0])
    flow[row, column] = at
    scale[row, column] = grows[number]
