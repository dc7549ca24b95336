"""What a pixel's footprint shows of the textures, and the slope of the map that gives it its shape.

Positions are in steps of a 256th of the atlas, whatever the textures' size: x points right and y
down, the atlas is [0, 256] by [0, 256]. A slope is the change of the position by a pixel, [2, 2]:
the first column by a step to the right, the second by a step down.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from uvtex.imaging.map_estimation.pixel_grid import WINDOW, PixelGrid, rightwards

ATLAS = 256.0
"""Side of the atlas, in the units of positions."""
SAMPLES = torch.tensor([[x, y] for y in (-1 / 3, 0.0, 1 / 3) for x in (-1 / 3, 0.0, 1 / 3)])
"""Samples of a pixel, as offsets from its middle in pixels, float [9, 2]."""
STEEPEST = 24.0
"""Largest slope that counts. A pixel across a jump of the map has none of its own."""


def sample(textures: Tensor, position: Tensor, slope: Tensor) -> Tensor:
    """Means of textures over footprints: float [M, L, 3].

    Args:
        textures: linear, float [3 * L, T, T].
        position: float [M, 2].
        slope: float [M, 2, 2].
    """
    at = position[:, None] + torch.einsum("mij,kj->mki", slope, SAMPLES)
    grid = (at / (ATLAS / 2) - 1)[None]
    colours = F.grid_sample(
        textures[None], grid, mode="bilinear", padding_mode="border", align_corners=False
    )
    return colours[0].mean(dim=-1).T.reshape(len(position), -1, 3)


def sample_points(textures: Tensor, position: Tensor) -> Tensor:
    """Textures, float [3 * L, T, T], at single points, float [M, 2]: float [M, L, 3]."""
    grid = (position / (ATLAS / 2) - 1)[None, None]
    colours = F.grid_sample(
        textures[None], grid, mode="bilinear", padding_mode="border", align_corners=False
    )
    return colours[0, :, 0].T.reshape(len(position), -1, 3)


def local_slopes(position: Tensor, grid: PixelGrid) -> Tensor:
    """The slope of the map at each pixel, float [P, 2, 2], by the pixels around that belong to it.

    Args:
        position: float [P, 2].

    A pixel on the other side of a jump does not belong to it. It is recognised as an outlier of
    the least squares fit, whose weights are refined four times.
    """
    near = grid.neighbours(WINDOW)
    offset = rightwards(WINDOW)
    apart = (position[near.clamp_min(0)] - position[:, None]).transpose(1, 2)  # [P, 2, N]
    slope = torch.zeros(len(position), 2, 2)
    for tolerance in (12.0, 2.0, 2.0, 2.0):
        off = (apart - slope @ offset.T).square().sum(dim=1)
        weight = torch.where(near >= 0, (1 + off / tolerance**2) ** -2, 0.0)
        normal = torch.einsum("pn,ni,nj->pij", weight, offset, offset) + 0.05 * torch.eye(2)
        target = torch.einsum("pn,pcn,nj->pjc", weight, apart, offset)
        slope = torch.linalg.solve(normal, target).transpose(1, 2).clamp(-STEEPEST, STEEPEST)
    return slope
