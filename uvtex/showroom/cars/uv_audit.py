"""Audits a car's UVs: faces outside the unit square, collapsed faces, and shared texels."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from uvtex.showroom.cars.mesh import Floats, Ints, Mesh
from uvtex.showroom.cars.texel_map import rasterise

APART = 0.01
"""Metres. Two points nearer than this are one place, for example both sides of a sheet."""
OUTSIDE = 1e-4
COLLAPSED = 1e-9
"""Twice the UV area, in unit squares, below which a triangle covers no texel."""
FINEST = 1024
CHUNK = 4_000_000
"""Texels of bounding boxes that are rasterised at once: about 1 GB."""
MOST = 20 * CHUNK
"""Largest number of texels of bounding boxes in an audit: a few seconds of work."""
TILES = 8
"""Largest number of repetitions of the texture along each side of a triangle."""


@dataclass(frozen=True)
class UvAudit:
    """The audit of one mesh's UVs."""

    grid: int
    """Side of the grid of texels."""
    covered: NDArray[np.bool_]  # [grid, grid], row 0 is v = 1
    shared: NDArray[np.bool_]  # [grid, grid], texels of two places more than APART from another
    low: tuple[float, float]
    high: tuple[float, float]
    outside_percent: float
    """Percentage of the faces that have a corner outside the unit square."""
    collapsed_percent: float
    """Percentage of the surface whose triangles have no UV area."""

    @property
    def covered_percent(self) -> float:
        """Percentage of the unit square's texels that the mesh covers."""
        return float(100 * self.covered.mean())

    @property
    def shared_percent(self) -> float:
        """Percentage of the covered texels that are shared."""
        return float(100 * self.shared.sum() / max(int(self.covered.sum()), 1))

    def picture(self, size: int) -> NDArray[np.uint8]:
        """[size, size]: the fraction of each texel that is shared, times 255."""
        image = Image.fromarray(self.shared.astype(np.float32))
        how = Image.Resampling.BOX if size < self.grid else Image.Resampling.NEAREST
        share = np.asarray(image.resize((size, size), how))
        return np.asarray(np.ceil(share * 255), dtype=np.uint8)


def audit(mesh: Mesh, finest: int = FINEST) -> UvAudit:
    """Rasterises ``mesh``, whose lengths are metres, over the unit square; the texture repeats.

    Args:
        finest: side of the grid; a coarser one is taken where triangles overlap too much for it.
    """
    uv = mesh.uv[mesh.faces]  # [m, 3, 2]
    corners = mesh.position[mesh.faces]  # [m, 3, 3]
    outside = _leaves(uv)
    a, b = uv[:, 1] - uv[:, 0], uv[:, 2] - uv[:, 0]
    collapsed = np.abs(a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]) < COLLAPSED
    surface = np.linalg.norm(
        np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1
    )
    triangles, faces = tiled(uv)
    grid = _grid(triangles, finest)
    covered, shared = _rasterise_overlaps(triangles, faces, corners, grid)
    if collapsed.any():
        _mark_points(uv[collapsed], corners[collapsed], grid, covered, shared)
    return UvAudit(
        grid,
        covered,
        shared,
        _pair(mesh.uv.min(0)),
        _pair(mesh.uv.max(0)),
        float(100 * outside.mean()),
        float(100 * surface[collapsed].sum() / max(float(surface.sum()), 1e-12)),
    )


def _leaves(uv: Floats) -> NDArray[np.bool_]:
    return np.asarray(((uv < -OUTSIDE) | (uv > 1 + OUTSIDE)).any((1, 2)))


def tiled(uv: Floats) -> tuple[Floats, Ints]:
    """Triangles [k, 3, 2] of which each texel is looked up in the unit square, and their faces.

    Args:
        uv: [m, 3, 2], anywhere; the texture repeats.
    """
    index, outside = np.arange(len(uv)), _leaves(uv)
    triangles, faces = [uv[~outside]], [index[~outside]]
    away, which = uv[outside], index[outside]
    away = away - np.floor(away.min(1, keepdims=True))
    reach = np.ceil(away.max(1)).clip(1, TILES)
    for i in range(int(reach[:, 0].max(initial=0))):
        for j in range(int(reach[:, 1].max(initial=0))):
            there = (reach[:, 0] > i) & (reach[:, 1] > j)
            triangles.append(away[there] - (i, j))
            faces.append(which[there])
    return np.concatenate(triangles), np.concatenate(faces)


def _grid(triangles: Floats, finest: int) -> int:
    """The finest grid on which every triangle can be looked at in reasonable time."""
    grid = finest
    while grid > 64 and _boxes(triangles, grid).sum() > MOST:
        grid //= 2
    return grid


def _boxes(triangles: Floats, grid: int) -> Floats:
    """Texels in each triangle's bounding box, [m]."""
    clipped = triangles.clip(0, 1)
    return np.asarray((np.ptp(clipped, axis=1) * grid + 1).prod(1))


def _rasterise_overlaps(
    triangles: Floats, faces: Ints, corners: Floats, grid: int
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    low = np.full((grid * grid, 3), np.inf, dtype=np.float32)
    high = np.full((grid * grid, 3), -np.inf, dtype=np.float32)
    for part in chunks(triangles, grid):
        texel, face, weights = rasterise(triangles[part], grid)
        place = np.einsum("nk,nkc->nc", weights, corners[faces[part][face]]).astype(np.float32)
        np.minimum.at(low, texel, place)
        np.maximum.at(high, texel, place)
    covered = np.isfinite(low[:, 0])
    spread = np.where(covered[:, None], high, 0) - np.where(covered[:, None], low, 0)
    shared = (spread > APART).any(1)
    return covered.reshape(grid, grid), shared.reshape(grid, grid)


def chunks(triangles: Floats, grid: int) -> Iterator[slice]:
    """Runs of ``triangles`` [m, 3, 2] that can be rasterised at once onto a ``grid``."""
    boxes = _boxes(triangles, grid)
    group = (np.cumsum(boxes) // CHUNK).astype(np.int64)
    starts = np.flatnonzero(np.diff(group, prepend=-1))
    for begin, end in zip(starts, [*starts[1:], len(boxes)], strict=True):
        yield slice(int(begin), int(end))


def _mark_points(
    uv: Floats, corners: Floats, grid: int, covered: NDArray[np.bool_], shared: NDArray[np.bool_]
) -> None:
    """Triangles without UV area: all of their surface hangs on the texel they lie in."""
    at = np.mod(uv.mean(1), 1.0)
    column = (at[:, 0] * grid).astype(int).clip(0, grid - 1)
    row = ((1 - at[:, 1]) * grid).astype(int).clip(0, grid - 1)
    covered[row, column] = True
    wide = (np.ptp(corners, axis=1) > APART).any(1)
    shared[row[wide], column[wide]] = True


def _pair(values: Floats) -> tuple[float, float]:
    return float(values[0]), float(values[1])
