"""UV seams of a mesh: the edges that lie at two places of the texture."""

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
"""Metres. Vertices nearer than this are one: unwrapping duplicates the vertices of a seam."""
SAME = 1e-4
"""UVs nearer than this are equal: it is under half a texel of the largest texture."""

Edges = tuple[Floats, Floats, Floats]


def write(out: Path, paint: Mesh) -> None:
    """Writes the paint's seams into ``out``, as the file ``SEAMS``; an existing file is kept."""
    if (out / SEAMS).exists():
        return
    a, b, length = (part.astype(np.float32) for part in seam_edges(paint))
    write_atomic(out / SEAMS, npz(a=a, b=b, length=length))


def seam_edges(mesh: Mesh) -> Edges:
    """The edges at which two faces meet with different UVs.

    An edge of more than two faces is left out, because its faces cannot be paired. Edges that
    coincide along only a part of their length are left out too.

    Returns:
        UVs of both ends on the first side, [n, 2, 2]; the same on the second side, [n, 2, 2]; and
        the lengths of the edges in metres, [n]. UVs have u right and v up and lie in the unit
        square, because the texture repeats.
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
    """An index for each vertex, [n]; vertices nearer than WELD to one another share one."""
    places, number = np.unique(position, axis=0, return_inverse=True)
    pairs = cKDTree(places).query_pairs(WELD, output_type="ndarray")
    graph = coo_array((np.ones(len(pairs), bool), pairs.T), shape=(len(places), len(places)))
    return np.asarray(connected_components(graph, directed=False)[1][number.ravel()], np.int64)


def _half_edges(corners: Ints, uv: Floats) -> tuple[Ints, Floats]:
    """The sides of every face: vertex indices [3m, 2], the lower first, and UVs [3m, 2, 2]."""
    ends = np.stack([corners, np.roll(corners, -1, 1)], 2).reshape(-1, 2)
    sides = np.stack([uv, np.roll(uv, -1, 1)], 2).reshape(-1, 2, 2)
    turned = ends[:, 0] > ends[:, 1]
    ends[turned], sides[turned] = ends[turned, ::-1], sides[turned, ::-1]
    whole = ends[:, 0] != ends[:, 1]
    return ends[whole], sides[whole]


def _where_split(ends: Ints, uv: Floats) -> tuple[Ints, Floats]:
    """The half-edges whose faces do not all have the same UVs, sorted by edge."""
    order = np.lexsort((ends[:, 1], ends[:, 0]))
    ends, uv = ends[order], uv[order]
    start = np.flatnonzero(_new(ends))
    flat = uv.reshape(-1, 4)
    spread = np.maximum.reduceat(flat, start) - np.minimum.reduceat(flat, start)
    count = np.diff(start, append=len(ends))
    split = np.repeat((spread > SAME).any(1), count)
    return ends[split], uv[split]


def _two_sided(ends: Ints, uv: Floats) -> tuple[Ints, Ints]:
    """Rows of both sides of each edge with two sides; both faces of a sheet count as one."""
    rounded = np.round(uv.reshape(-1, 4) / SAME).astype(np.int64)
    order = np.lexsort((*rounded.T, ends[:, 1], ends[:, 0]))
    # Rounding may separate equal UVs, so neighbours in the order are compared unrounded.
    edge = np.cumsum(_new(ends[order]))
    flat = uv.reshape(-1, 4)[order]
    differs = np.ones(len(order), dtype=bool)
    differs[1:] = (edge[1:] != edge[:-1]) | (np.abs(np.diff(flat, axis=0)) > SAME).any(1)
    order, edge = order[differs], edge[differs]
    start = np.flatnonzero(np.diff(edge, prepend=-1))
    pair = start[np.diff(start, append=len(edge)) == 2]
    return order[pair], order[pair + 1]


def _new(ends: Ints) -> NDArray[np.bool_]:
    """For sorted edges, whether each differs from the one before."""
    new = np.ones(len(ends), dtype=bool)
    new[1:] = (ends[1:] != ends[:-1]).any(1)
    return new


def _in_the_square(uv: Floats) -> Floats:
    """Edges moved to the repetition of the texture that is in the unit square."""
    middle = uv.mean(1, keepdims=True)
    outside = (middle < -SAME) | (middle > 1 + SAME)
    return uv - np.where(outside, np.floor(middle), 0.0)
