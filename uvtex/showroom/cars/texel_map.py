"""The UV layout of the built-in car, and the point of the car under each texel."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from uvtex.showroom.cars.mesh import Floats, Ints, Mesh

PANELS: dict[str, tuple[float, float, float, float]] = {
    "rear": (0.010, 0.010, 0.335, 0.140),
    "front": (0.350, 0.010, 0.675, 0.140),
    "wing": (0.690, 0.076, 0.990, 0.140),
    "plate_left": (0.690, 0.010, 0.833, 0.062),
    "plate_right": (0.847, 0.010, 0.990, 0.062),
    "left": (0.010, 0.154, 0.990, 0.312),
    "top": (0.010, 0.326, 0.990, 0.816),
    "right": (0.010, 0.830, 0.990, 0.990),
}
"""Panel -> (u0, v0, u1, v1). The gutters are 0.014 wide: a texel at 64 px, four at 256."""


def place_panels(panel: str, across: Floats, up: Floats) -> Floats:
    """UV [..., 2] of a point of ``panel`` at ``across`` and ``up``, both in [0, 1]."""
    u0, v0, u1, v1 = PANELS[panel]
    return np.stack(np.broadcast_arrays(u0 + across * (u1 - u0), v0 + up * (v1 - v0)), -1)


@dataclass(frozen=True)
class TexelMap:
    """The point of the car under each texel centre; row 0 is v = 1."""

    covered: NDArray[np.bool_]  # [s, s]
    face: Ints  # [s, s], index of the triangle; -1 where not covered
    position: Floats  # [s, s, 3] metres; in gutters, that of the nearest covered texel
    normal: Floats  # [s, s, 3]; gutters likewise
    panel: Ints  # [s, s], index into PANELS; gutters likewise


def texel_map(mesh: Mesh, size: int) -> TexelMap:
    """Rasterises ``mesh`` in UV space onto a grid of ``size`` x ``size`` texels."""
    texel, face, weights = rasterise(mesh.uv[mesh.faces], size)
    faces = np.full(size * size, -1, dtype=np.int64)
    faces[texel] = face
    attributes = np.zeros((size * size, 6))
    corners = np.concatenate([mesh.position, mesh.normal], 1)[mesh.faces[face]]
    attributes[texel] = np.einsum("nk,nkc->nc", weights, corners)
    covered = (faces >= 0).reshape(size, size)
    rows, columns = ndimage.distance_transform_edt(
        ~covered, return_distances=False, return_indices=True
    )
    attributes = attributes.reshape(size, size, 6)[rows, columns]
    return TexelMap(
        covered,
        faces.reshape(size, size),
        attributes[..., :3],
        attributes[..., 3:],
        _panel_index(size)[rows, columns],
    )


def rasterise(triangles: Floats, size: int) -> tuple[Ints, Ints, Floats]:
    """Texel centres inside ``triangles`` [m, 3, 2] of UVs.

    Returns:
        flat texel index [k] (row 0 is v = 1), triangle index [k], barycentric weights [k, 3].
        A texel that two triangles share is listed twice.
    """
    points = triangles * size - 0.5
    points = np.stack([points[..., 0], size - 1 - points[..., 1]], -1)
    low = np.clip(np.ceil(points.min(1) - 1e-9), 0, size).astype(np.int64)
    high = np.clip(np.floor(points.max(1) + 1e-9), -1, size - 1).astype(np.int64)
    extent = np.maximum(high - low + 1, 0)
    total = extent.prod(1)
    face = np.repeat(np.arange(len(points)), total)
    offset = np.arange(len(face)) - np.repeat(np.cumsum(total) - total, total)
    x = low[face, 0] + offset % np.maximum(extent[face, 0], 1)
    y = low[face, 1] + offset // np.maximum(extent[face, 0], 1)
    weights = _barycentric(points[face], np.stack([x, y], -1).astype(float))
    inside = (weights >= -1e-9).all(1)
    return (y * size + x)[inside], face[inside], weights[inside]


def _barycentric(corners: Floats, at: Floats) -> Floats:
    a, b, c = corners[:, 0], corners[:, 1], corners[:, 2]

    def area(p: Floats, q: Floats, r: Floats) -> Floats:
        d, e = q - p, r - p
        return d[:, 0] * e[:, 1] - d[:, 1] * e[:, 0]

    whole = area(a, b, c)
    # A triangle without area covers no texel; NaN weights fail every comparison.
    whole = np.where(np.abs(whole) < 1e-12, np.nan, whole)
    return np.stack([area(at, b, c), area(a, at, c), area(a, b, at)], 1) / whole[:, None]


def _panel_index(size: int) -> Ints:
    centre = (np.arange(size) + 0.5) / size
    u, v = np.meshgrid(centre, centre[::-1])
    index = np.zeros((size, size), dtype=np.int64)
    for number, (u0, v0, u1, v1) in enumerate(PANELS.values()):
        index[(u >= u0) & (u <= u1) & (v >= v0) & (v <= v1)] = number
    return index
