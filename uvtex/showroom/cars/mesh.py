"""Triangle meshes as arrays.

The module makes parametric grids, surfaces of revolution, boxes and slabs. It cuts meshes along
smooth outlines.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Mesh:
    """Triangles with smooth normals and UVs. Lengths are in metres."""

    position: Floats  # [n, 3]
    normal: Floats  # [n, 3], unit
    uv: Floats  # [n, 2] in [0, 1]; zeros for a mesh without paint
    faces: Ints  # [m, 3]


def grid(position: Floats, uv: Floats | None = None) -> Mesh:
    """A patch of triangles from ``position`` [rows, columns, 3] and ``uv`` [rows, columns, 2].

    Normals point along the cross product d/d(column) x d/d(row).
    """
    rows, columns, _ = position.shape
    normal = np.cross(np.gradient(position, axis=1), np.gradient(position, axis=0))
    length = np.linalg.norm(normal, axis=-1, keepdims=True)
    index = np.arange(rows * columns).reshape(rows, columns)
    a, b, c, d = index[:-1, :-1], index[:-1, 1:], index[1:, 1:], index[1:, :-1]
    faces = np.stack([a, b, c, a, c, d], -1).reshape(-1, 3)
    uv = np.zeros((rows, columns, 2)) if uv is None else uv
    return Mesh(
        position.reshape(-1, 3),
        (normal / np.maximum(length, 1e-12)).reshape(-1, 3),
        uv.reshape(-1, 2),
        faces,
    )


def merge(meshes: Iterable[Mesh]) -> Mesh:
    """Join ``meshes`` into one mesh."""
    parts = list(meshes)
    starts = np.cumsum([0] + [len(p.position) for p in parts[:-1]])
    return Mesh(
        np.concatenate([p.position for p in parts]),
        np.concatenate([p.normal for p in parts]),
        np.concatenate([p.uv for p in parts]),
        np.concatenate([p.faces + s for p, s in zip(parts, starts, strict=True)]),
    )


def mirrored(mesh: Mesh) -> Mesh:
    """Mirror ``mesh`` to the other side of the car: y becomes -y."""
    flip = np.array([1.0, -1.0, 1.0])
    return Mesh(mesh.position * flip, mesh.normal * flip, mesh.uv, mesh.faces[:, ::-1])


def moved(mesh: Mesh, x: float = 0.0, y: float = 0.0, z: float = 0.0) -> Mesh:
    """``mesh`` shifted by (x, y, z) metres."""
    return Mesh(mesh.position + np.array([x, y, z]), mesh.normal, mesh.uv, mesh.faces)


def clip(mesh: Mesh, value: Floats) -> Mesh:
    """The part of ``mesh`` with negative ``value`` [n].

    ``value`` is interpolated linearly over each triangle. Triangles on the outline are cut along
    the outline. A coarse grid therefore gets smooth openings.
    """
    inside = value[mesh.faces] < 0
    count = inside.sum(1)
    table = np.concatenate([mesh.position, mesh.normal, mesh.uv], 1)
    corners = [table[mesh.faces[count == 3]]]
    corners.append(_tip(table, value, _first(mesh.faces, inside, count == 1, True)))
    corners.extend(_trunk(table, value, _first(mesh.faces, inside, count == 2, False)))
    flat = np.concatenate(corners).reshape(-1, table.shape[1])
    return Mesh(flat[:, :3], flat[:, 3:6], flat[:, 6:8], np.arange(len(flat)).reshape(-1, 3))


def _first(faces: Ints, inside: NDArray[np.bool_], chosen: NDArray[np.bool_], odd: bool) -> Ints:
    """The chosen faces, with their vertices rotated.

    One corner is inside and two are outside, or the reverse. The single corner comes first.
    """
    start = np.argmax(inside[chosen] == odd, axis=1)[:, None]
    return np.take_along_axis(faces[chosen], (start + np.arange(3)) % 3, axis=1)


def _crossing(table: Floats, value: Floats, a: Ints, b: Ints) -> Floats:
    """The points between the vertices ``a`` and ``b`` at which ``value`` is zero.

    The order of ``a`` and ``b`` does not change the result.
    """
    low, high = np.minimum(a, b), np.maximum(a, b)
    share = value[low] / (value[low] - value[high])
    return table[low] + share[:, None] * (table[high] - table[low])


def _tip(table: Floats, value: Floats, faces: Ints) -> Floats:
    a, b, c = faces.T
    ab, ac = _crossing(table, value, a, b), _crossing(table, value, a, c)
    return np.stack([table[a], ab, ac], 1)


def _trunk(table: Floats, value: Floats, faces: Ints) -> list[Floats]:
    a, b, c = faces.T
    ab, ac = _crossing(table, value, a, b), _crossing(table, value, a, c)
    first = np.stack([ab, table[b], table[c]], 1)
    return [first, np.stack([ab, table[c], ac], 1)]


def lathe(profile: Floats, segments: int, begin: float = 0.0, end: float = 2 * np.pi) -> Mesh:
    """A surface of revolution about the y axis, from the angle ``begin`` to the angle ``end``.

    ``profile`` is [n, 2] of (radius, y). Angles are in radians.
    """
    angle = np.linspace(begin, end, segments + 1)[:, None]
    radius, y = profile[:, 0], profile[:, 1]
    x, z = radius * np.cos(angle), radius * np.sin(angle)
    return grid(np.stack([x, np.broadcast_to(y, x.shape), z], -1))


def box(low: tuple[float, float, float], high: tuple[float, float, float]) -> Mesh:
    """An axis-aligned box of six flat faces."""
    return hexahedron(np.array(list(itertools.product(*zip(low, high, strict=True)))))


_SIDES = ((0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3))


def hexahedron(corners: Floats) -> Mesh:
    """Six flat faces over ``corners`` [8, 3].

    The corners are in the order (low x, high x) x (low y, high y) x (low z, high z).
    """
    faces = []
    for a, b, c, d in _SIDES:
        patch = corners[[a, b, d, c]].reshape(2, 2, 3)
        faces.append(grid(patch))
    return merge(faces)


def prism(outline: Floats, bottom: float, top: float) -> Mesh:
    """A flat slab from z = ``bottom`` to z = ``top``.

    Its ``outline`` is [n, 2] of (x, y) and must be star-shaped.
    """
    closed = np.concatenate([outline, outline[:1]])
    centre = np.broadcast_to(outline.mean(0), closed.shape)

    def level(points: Floats, z: float) -> Floats:
        return np.concatenate([points, np.full((len(points), 1), z)], 1)

    rings = [
        (level(centre, top), level(closed, top)),
        (level(closed, top), level(closed, bottom)),
        (level(closed, bottom), level(centre, bottom)),
    ]
    return merge(grid(np.stack(ring)) for ring in rings)
