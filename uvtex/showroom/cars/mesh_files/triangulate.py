"""Cuts polygons of any number of corners into triangles, concave polygons too."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from uvtex.showroom.cars.mesh import Floats, Ints

Bools = NDArray[np.bool_]


def triangulate(position: Floats, sizes: Ints) -> tuple[Ints, Ints]:
    """Triangles [t, 3] as indices of corners, and the polygon [t] of each, in the order given.

    Args:
        position: [c, 3] of the corners of all polygons, one polygon after the other.
        sizes: [f] number of corners of each polygon. One with fewer than three has no triangle.
    """
    starts = np.cumsum(sizes) - sizes
    triangles, owners = [np.zeros((0, 3), np.int64)], [np.zeros(0, np.int64)]
    for size in np.unique(sizes[sizes >= 3]).tolist():
        chosen = np.flatnonzero(sizes == size)
        corners = starts[chosen][:, None] + np.arange(size)
        bent = _concave(position[corners]) if size > 3 else np.zeros(len(chosen), bool)
        fan = np.stack([np.zeros(size - 2, int), np.arange(1, size - 1), np.arange(2, size)], 1)
        triangles.append(corners[~bent][:, fan].reshape(-1, 3))
        owners.append(np.repeat(chosen[~bent], size - 2))
        for row, owner in zip(corners[bent], chosen[bent], strict=True):
            ears = _clip_ears(_flattened(position[row]))
            triangles.append(row[ears])
            owners.append(np.full(len(ears), owner))
    owner = np.concatenate(owners)
    order = np.argsort(owner, kind="stable")
    return np.concatenate(triangles)[order].astype(np.int64), owner[order]


def _newell(polygon: Floats) -> Floats:
    """Normals [.., 3] of the polygons [.., k, 3]; their length is twice the area."""
    middle = polygon - polygon.mean(-2, keepdims=True)
    return np.asarray(np.cross(middle, np.roll(middle, -1, axis=-2)).sum(-2))


def _concave(polygon: Floats) -> Bools:
    """Which of the polygons [g, k, 3] have a corner that points inwards."""
    with np.errstate(all="ignore"):
        normal = _newell(polygon)
        back, forth = polygon - np.roll(polygon, 1, 1), np.roll(polygon, -1, 1) - polygon
        turn = (np.cross(back, forth) * normal[:, None]).sum(-1)
        return np.asarray((turn < -1e-9 * (normal**2).sum(-1, keepdims=True)).any(1))


def _flattened(polygon: Floats) -> Floats:
    """[k, 2]: ``polygon`` [k, 3] seen against its normal, anticlockwise."""
    normal = _newell(polygon)
    drop = int(np.abs(normal).argmax())
    flat = np.delete(polygon, drop, axis=1)
    return flat if (normal[drop] > 0) == (drop != 1) else flat * (-1, 1)


def _clip_ears(polygon: Floats) -> Ints:
    """Triangles [k - 2, 3] of a simple polygon [k, 2] that runs anticlockwise.

    A polygon that crosses itself has no right answer; it is cut somehow.
    """
    rest, ears = list(range(len(polygon))), []
    while len(rest) > 3:
        found = next((n for n in range(len(rest)) if _is_ear(polygon, rest, n)), 0)
        ears.append([rest[found - 1], rest[found], rest[(found + 1) % len(rest)]])
        del rest[found]
    return np.array([*ears, rest], dtype=np.int64)


def _is_ear(polygon: Floats, rest: list[int], n: int) -> bool:
    a, b, c = (polygon[rest[k % len(rest)]] for k in (n - 1, n, n + 1))
    if _cross(a, b, c) <= 0:
        return False
    others = [polygon[k] for k in rest]
    return not any(
        _cross(a, b, p) >= 0 and _cross(b, c, p) >= 0 and _cross(c, a, p) >= 0
        for p in others
        if not any(np.array_equal(p, corner) for corner in (a, b, c))
    )


def _cross(a: Floats, b: Floats, c: Floats) -> float:
    return float((b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0]))
