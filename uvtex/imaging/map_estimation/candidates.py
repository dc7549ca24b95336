"""Candidate texels of a pixel: peaks of the table, planes of the pixels around, and the best."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from uvtex.imaging.map_estimation.footprints import ATLAS
from uvtex.imaging.map_estimation.pixel_grid import RING, PixelGrid, rightwards

PEAKS = 16
"""Number of candidates of a pixel from the table."""
KEPT = 24
"""Number of candidates that a choice is made among."""
NEVER = -1e6
"""The evidence of what is not a candidate."""


class Candidates(NamedTuple):
    """K candidates of each of P pixels."""

    position: Tensor  # float [P, K, 2]
    slope: Tensor  # float [P, K, 2, 2]


def peaks(table: Tensor) -> tuple[Tensor, Tensor]:
    """The highest local maxima of a table of evidence, and their positions between the texels.

    Args:
        table: float [P, side * side].

    Returns:
        Evidence float [P, PEAKS], and positions float [P, PEAKS, 2], by a parabola in each
        direction.
    """
    side = round(table.shape[1] ** 0.5)
    planes = table.view(-1, 1, side, side)
    top = (F.max_pool2d(planes, 3, 1, 1) == planes).view(len(table), -1)
    evidence, index = table.masked_fill(~top, NEVER).topk(min(PEAKS, table.shape[1]), dim=1)
    padded = F.pad(planes, (1, 1, 1, 1), mode="replicate")[:, 0]
    row, column = index // side + 1, index % side + 1
    pixel = torch.arange(len(table))[:, None]
    here = padded[pixel, row, column]

    def between(before: Tensor, after: Tensor) -> Tensor:
        bend = (before - 2 * here + after).clamp_max(-1e-6)
        return (0.5 * (before - after) / bend).clamp(-0.5, 0.5)

    x = between(padded[pixel, row, column - 1], padded[pixel, row, column + 1])
    y = between(padded[pixel, row - 1, column], padded[pixel, row + 1, column])
    at = torch.stack([column - 0.5 + x, row - 0.5 + y], dim=-1)
    return evidence, at * (ATLAS / side)


def continued(position: Tensor, slope: Tensor, grid: PixelGrid) -> tuple[Candidates, Tensor]:
    """The planes of the pixels around, continued to each pixel, and whether each is there.

    The first candidate is the pixel's own. This is PatchMatch's propagation (Barnes et al. 2009),
    with slanted planes (Bleyer, Rhemann and Rother 2011).
    """
    near = grid.neighbours(RING)
    other = near.clamp_min(0)
    onwards = position[other] - torch.einsum("pnij,nj->pni", slope[other], rightwards(RING))
    own = Candidates(position[:, None], slope[:, None])
    there = torch.cat([torch.ones_like(near[:, :1], dtype=torch.bool), near >= 0], dim=1)
    return joined(own, Candidates(onwards, slope[other])), there


def joined(*parts: Candidates) -> Candidates:
    """All candidates of the parts."""
    return Candidates(
        torch.cat([part.position for part in parts], dim=1),
        torch.cat([part.slope for part in parts], dim=1),
    )


def distinct(
    some: Candidates, evidence: Tensor, apart: float, count: int = KEPT
) -> tuple[Candidates, Tensor]:
    """The ``count`` candidates with the most evidence, ``apart`` from each other, and it."""
    pixel = torch.arange(len(evidence))[:, None]
    left = evidence.clone()
    picked = []
    for _ in range(min(count, evidence.shape[1])):
        best = left.argmax(dim=1, keepdim=True)
        picked.append(best)
        near = (some.position - some.position[pixel, best]).square().sum(dim=-1) < apart**2
        left = left.masked_fill(near, 2 * NEVER)
    index = torch.cat(picked, dim=1)
    kept = left.new_full(index.shape, NEVER)
    fresh = torch.ones_like(index, dtype=torch.bool)
    for k in range(1, index.shape[1]):  # the same one again, where there are too few
        fresh[:, k] = (index[:, :k] != index[:, k : k + 1]).all(dim=1)
    kept = torch.where(fresh, evidence[pixel, index].clamp_min(NEVER), kept)
    return Candidates(some.position[pixel, index], some.slope[pixel, index]), kept
