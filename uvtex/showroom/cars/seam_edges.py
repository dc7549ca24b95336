"""Where a mesh's unwrap is cut: the edges that lie at two places of the atlas."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from uvtex.files import npz, write_atomic
from uvtex.imaging.seams import SEAMS
from uvtex.showroom.cars.mesh import Floats, Ints, Mesh

WELD = 1e-4
"""Metres: corners nearer than this are one, as those that an unwrap has cut apart are."""
SAME = 1e-4
"""UVs nearer than this are one: under half a texel of the largest texture."""

Edges = tuple[Floats, Floats, Floats]


def write(out: Path, paint: Mesh) -> None:
    """Writes the paint's seams into ``out``, as ``manifest.SEAMS`` says; keeps what is there."""
    if (out / SEAMS).exists():
        return
    a, b, length = (part.astype(np.float32) for part in seam_edges(paint))
    write_atomic(out / SEAMS, npz(a=a, b=b, length=length))


def seam_edges(mesh: Mesh) -> Edges:
    """Edges of two faces whose UVs there differ.

    An edge of more than two sides is left out: it does not say which of them continues which. So
    are edges that only touch along a part of their length, as two grids of other steps do.

    Returns:
        UVs of both ends on the one and on the other side, [n, 2, 2] each, u right and v up, in
        the unit square, where the texture repeats; and the edges' lengths [n] in metres.
    """
    corner = _welded(mesh.position)
    ends, uv = _half_edges(corner[mesh.faces], mesh.uv[mesh.faces])
    ends, uv = _where_split(ends, uv)
    a, b = _two_sided(ends, _in_the_square(uv))
    first = np.zeros(int(corner.max()) + 1, dtype=np.int64)
    first[corner] = np.arange(len(corner))
    span = mesh.position[first[ends[a, 0]]] - mesh.position[first[ends[a, 1]]]
    inside = _in_the_square(uv)
    return inside[a], inside[b], np.linalg.norm(span, axis=1)


def _welded(position: Floats) -> Ints:
    """A number for each vertex [n], the same for all that are nearer than WELD to one another."""
    places, number = np.unique(position, axis=0, return_inverse=True)
    pairs = cKDTree(places).query_pairs(WELD, output_type="ndarray")
    graph = coo_array((np.ones(len(pairs), bool), pairs.T), shape=(len(places), len(places)))
    return np.asarray(connected_components(graph, directed=False)[1][number.ravel()], np.int64)


def _half_edges(corners: Ints, uv: Floats) -> tuple[Ints, Floats]:
    """Every face's three sides, lower corner first: corners [3m, 2] and their UVs [3m, 2, 2]."""
    ends = np.stack([corners, np.roll(corners, -1, 1)], 2).reshape(-1, 2)
    sides = np.stack([uv, np.roll(uv, -1, 1)], 2).reshape(-1, 2, 2)
    turned = ends[:, 0] > ends[:, 1]
    ends[turned], sides[turned] = ends[turned, ::-1], sides[turned, ::-1]
    whole = ends[:, 0] != ends[:, 1]
    return ends[whole], sides[whole]


def _where_split(ends: Ints, uv: Floats) -> tuple[Ints, Floats]:
    """Those of edges whose faces do not all have the same UVs, edge by edge."""
    order = np.lexsort((ends[:, 1], ends[:, 0]))
    ends, uv = ends[order], uv[order]
    start = np.flatnonzero(_new(ends))
    flat = uv.reshape(-1, 4)
    spread = np.maximum.reduceat(flat, start) - np.minimum.reduceat(flat, start)
    count = np.diff(start, append=len(ends))
    split = np.repeat((spread > SAME).any(1), count)
    return ends[split], uv[split]


def _two_sided(ends: Ints, uv: Floats) -> tuple[Ints, Ints]:
    """Rows of both sides of each edge that has two, both faces of a sheet counting as one."""
    rounded = np.round(uv.reshape(-1, 4) / SAME).astype(np.int64)
    order = np.lexsort((*rounded.T, ends[:, 1], ends[:, 0]))
    # Rounding may part what is equal, so neighbours in the order are compared as they are.
    edge = np.cumsum(_new(ends[order]))
    flat = uv.reshape(-1, 4)[order]
    differs = np.ones(len(order), dtype=bool)
    differs[1:] = (edge[1:] != edge[:-1]) | (np.abs(np.diff(flat, axis=0)) > SAME).any(1)
    order, edge = order[differs], edge[differs]
    start = np.flatnonzero(np.diff(edge, prepend=-1))
    pair = start[np.diff(start, append=len(edge)) == 2]
    return order[pair], order[pair + 1]


def _new(ends: Ints) -> NDArray[np.bool_]:
    """Of sorted edges, which are others than the one before."""
    new = np.ones(len(ends), dtype=bool)
    new[1:] = (ends[1:] != ends[:-1]).any(1)
    return new


def _in_the_square(uv: Floats) -> Floats:
    """Edges moved to the repetition of the texture that is in the unit square."""
    middle = uv.mean(1, keepdims=True)
    outside = (middle < -SAME) | (middle > 1 + SAME)
    return uv - np.where(outside, np.floor(middle), 0.0)
