"""The texel map of your own car, scaled to the dimensions of the built-in car.

A procedural livery is a function of position and panel. The positions of your car are stretched to
the built-in car's length, width and height. Your car has no panels: each texel's panel is estimated
from its position and its normal.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from scipy import ndimage

from uvtex.errors import DataError
from uvtex.showroom.cars.built_in import car
from uvtex.showroom.cars.mesh import Floats, Ints, Mesh
from uvtex.showroom.cars.texel_map import PANELS, TexelMap, rasterise
from uvtex.showroom.cars.uv_audit import chunks, tiled

ENDS = 1.7
"""Metres from the centre. Beyond it, a texel that faces forward or backward is on nose or tail."""
WING = (-1.7, 1.15)
"""x and z in metres: texels behind the first and above the second are on the wing."""
NOWHERE = -1
"""The panel index of texels inside the car, such as the inner face of a wheel arch."""


def own_texels(mesh: Mesh, size: int) -> TexelMap:
    """The texel map of ``mesh`` for a ``size`` x ``size`` texture.

    Where several places of the car share a texel, places that face outwards win, and among them the
    one farthest to the left. Mirrored parts are therefore painted for the left side.

    Args:
        mesh: the paint, in the showroom's axes; its UVs may leave the unit square.

    Raises:
        DataError: the paint covers no texel centre.
    """
    shape = fitted(mesh)
    centre = shape.position[shape.faces].mean(1)  # [m, 3]
    outward = _outward(centre, shape.normal[shape.faces].sum(1))
    # The last triangle that is written to a texel keeps it.
    order = np.lexsort((centre[:, 1], outward))
    uv = shape.uv[shape.faces[order]]
    triangles, which = tiled(uv)
    rank = np.argsort(which, kind="stable")
    triangles, which = triangles[rank], order[which[rank]]
    face = np.full(size * size, -1, dtype=np.int64)
    attributes = np.zeros((size * size, 6))
    table = np.concatenate([shape.position, shape.normal], 1)
    for part in chunks(triangles, size):
        texel, number, weights = rasterise(triangles[part], size)
        face[texel] = which[part][number]
        attributes[texel] = np.einsum("nk,nkc->nc", weights, table[shape.faces[face[texel]]])
    covered = (face >= 0).reshape(size, size)
    if not covered.any():
        raise DataError(
            f"the car's UVs cover no texel of a {size} x {size} grid, so no livery can be "
            "painted; give a larger --texture-size, or --unwrap"
        )
    rows, columns = ndimage.distance_transform_edt(
        ~covered, return_distances=False, return_indices=True
    )
    attributes = attributes.reshape(size, size, 6)[rows, columns]
    position, normal = attributes[..., :3], attributes[..., 3:]
    return TexelMap(covered, face.reshape(size, size), position, normal, panels(position, normal))


def fitted(mesh: Mesh) -> Mesh:
    """``mesh`` stretched so that its box is the built-in paint's; its normals point outwards."""
    low, high = _box()
    used = mesh.position[np.unique(mesh.faces)]
    begin, extent = used.min(0), np.ptp(used, axis=0)
    stretch = (high - low) / np.maximum(extent, 1e-6)
    position = low + (mesh.position - begin) * stretch
    normal = mesh.normal / stretch
    normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-12)
    corners = position[mesh.faces]
    area = np.linalg.norm(
        np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1
    )
    out = _outward(corners.mean(1), normal[mesh.faces].sum(1))
    if (area * np.where(out, 1, -1)).sum() < 0:
        normal = -normal
    return Mesh(position, normal, mesh.uv, mesh.faces)


def panels(position: Floats, normal: Floats) -> Ints:
    """Index into PANELS, or NOWHERE, of points [..., 3] of a fitted car, and their normals."""
    x, y, z = np.moveaxis(position, -1, 0)
    nx, ny, nz = np.moveaxis(normal, -1, 0)
    main = np.abs(normal).argmax(-1)
    flank = (main == 1) & (y * ny > 0)
    upward = (main == 2) & (nz > 0)
    lengthwise = (main == 0) & (x * nx > 0)
    wing = (x < WING[0]) & (z > WING[1])
    conditions = {
        "wing": wing & (main != 1),
        "plate_left": wing & (main == 1) & (y > 0),
        "plate_right": wing & (main == 1) & (y < 0),
        "left": flank & (y > 0),
        "right": flank & (y < 0),
        "front": lengthwise & (x > ENDS),
        "rear": lengthwise & (x < -ENDS),
        # Windscreen posts and the like lean along the car, and belong to the top.
        "top": upward | ((main == 0) & (nz > 0)),
    }
    names = list(PANELS)
    numbers = [names.index(name) for name in conditions]
    return np.select(list(conditions.values()), numbers, NOWHERE)


@lru_cache(maxsize=1)
def _box() -> tuple[Floats, Floats]:
    position = car().paint.position
    return position.min(0), position.max(0)


def _outward(at: Floats, normal: Floats) -> np.ndarray:
    """Whether ``normal`` [m, 3] at points of a fitted car points away from the car's axis, [m]."""
    middle = 0.45
    return np.asarray(at[:, 1] * normal[:, 1] + (at[:, 2] - middle) * normal[:, 2] > 0)
