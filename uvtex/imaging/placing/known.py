"""What is known of cameras, as their photos are compared with it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from scipy import ndimage
from scipy.spatial import ConvexHull, QhullError
from torch import Tensor

from uvtex.imaging.full_size import ViewGeometry

MARGIN = 1.2
"""Side of the picture that is compared, in sides of the view: room to move on all sides."""
NEAR = 0.06
"""Distance from the paint up to which pixels are compared, in sides of the view."""
CLEAR = 3.0
"""Distance from the paint from which on the blur brings none of it."""
CLOSE = 2.0
"""The same for light of less than COARSE pixels, where CLEAR leaves too few between the paint."""
COARSE = 128
"""Side below which light is coarse, in pixels."""
SMALLEST = 96
"""Least side of the light, in pixels. Coarser light gave errors of a quarter of a pixel of 64."""
FEWEST = 150
"""Least number of pixels to compare."""


class Known(NamedTuple):
    """What is known of B cameras, and compared with their photos."""

    falling: Tensor  # float32 [B, 3, F, F], linear light, 0 where no paint is seen
    reflected: Tensor  # float32 [B, 3, F, F]
    pixel: Tensor  # int64 [B, N], the pixels without paint that are compared: row * F + column
    counts: Tensor  # bool [B, N], whether a pixel is one: cameras have different numbers of them
    paint: Tensor  # float64 [B, 3], the paint's mean place, and its mean squared distance from 0

    def of(self, camera: Tensor) -> Known:
        """That of cameras int64 [B]."""
        return Known(*(x[camera] for x in self))


def known_of(views: Sequence[ViewGeometry]) -> Known:
    """What :func:`place` takes of cameras whose light has one size.

    Pixels are compared that lie between painted ones, in the paint's convex hull: glass, wheels,
    grilles, the shadow under the car. What is around the car differs from place to place. It is
    compared only where too few pixels lie between.
    """
    pixels, paints, fallings = [], [], []
    for view in views:
        side = len(view.reflected)
        paint = _paint_share(view.uv, side) > 0
        away = ndimage.distance_transform_edt(~paint)
        clear = CLOSE if side < COARSE else CLEAR
        near = (away > clear) & (away <= NEAR * side) & paint.any()
        between = _in_hull(near, paint)
        pixels.append(np.flatnonzero(between if between.sum() >= FEWEST else near))
        # A fit of the light to pictures knows nothing of falling light where there is no paint.
        fallings.append(np.where(paint[..., None], view.falling, 0))
        rows, columns = np.nonzero(paint)
        at = (np.stack([columns, rows], axis=1) + 0.5) / side * 2 - 1
        squares = (at**2).sum(axis=1)
        mean = [*at.mean(axis=0), squares.mean()] if len(at) else [0.0, 0.0, 0.0]
        paints.append(torch.tensor(mean, dtype=torch.float64))
    most = max(FEWEST, *map(len, pixels))
    padded = np.stack([np.pad(p, (0, most - len(p))) for p in pixels])
    counts = np.stack([np.arange(most) < len(p) for p in pixels])
    falling, reflected = (
        torch.from_numpy(np.stack(lights)).permute(0, 3, 1, 2).float()
        for lights in (fallings, [view.reflected for view in views])
    )
    return Known(
        falling, reflected, torch.from_numpy(padded), torch.from_numpy(counts), torch.stack(paints)
    )


def _paint_share(uv: np.ndarray, side: int) -> np.ndarray:
    """The share of each pixel that shows paint, [side, side]."""
    painted = torch.from_numpy(np.isfinite(uv[..., 0])).float()[None, None]
    share: np.ndarray = F.adaptive_avg_pool2d(painted, side)[0, 0].numpy()
    return share


def _in_hull(near: np.ndarray, paint: np.ndarray) -> np.ndarray:
    """The pixels of ``near`` that lie in the convex hull of those of ``paint``, bool [h, w] all."""
    try:
        planes = ConvexHull(np.argwhere(paint)).equations
    except (QhullError, ValueError):  # no paint, or all on a line
        nothing: np.ndarray = near & paint
        return nothing
    at = np.argwhere(near)
    inside: np.ndarray = near.copy()
    inside[near] = (at @ planes[:, :2].T + planes[:, 2] <= 1e-9).all(axis=1)
    return inside


def turned(at: Tensor, angle: Tensor) -> Tensor:
    """Points [..., 2] turned by angles [...] from right to down."""
    (x, y), cos, sin = at.unbind(dim=-1), angle.cos(), angle.sin()
    return torch.stack([cos * x - sin * y, sin * x + cos * y], dim=-1)


def sampled(pictures: Tensor, at: Tensor) -> Tensor:
    """The values [B, C, ...] of pictures [B, C, M, M] at points [B, h, w, 2] of the view."""
    grid = (at / MARGIN).to(pictures.dtype)
    return F.grid_sample(pictures, grid, padding_mode="border", align_corners=False)
