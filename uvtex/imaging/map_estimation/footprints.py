"""What a pixel's footprint shows of the textures, and the slope of the map that gives it its shape.

Positions are in steps of a 256th of the atlas, whatever the textures' size: x points right and y
down, the atlas is [0, 256] by [0, 256]. A slope is the change of the position by a pixel, [2, 2]:
the first column by a step to the right, the second by a step down.
"""

from __future__ import annotations

from typing import NamedTuple

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


class Texels(NamedTuple):
    """The textures of L liveries, with the colours of a texel side by side.

    So a sample reads four pieces of memory, and not four for each livery and channel.
    """

    colours: Tensor  # float [side * side, 3 * L], linear
    side: int

    @classmethod
    def of(cls, textures: Tensor) -> Texels:
        """Those of textures, linear, float [L, 3, T, T]."""
        return cls(textures.flatten(0, 1).flatten(1).T.contiguous(), textures.shape[-1])


def sample(texels: Texels, position: Tensor, slope: Tensor) -> Tensor:
    """Means of textures over footprints: float [M, L, 3].

    Args:
        position: float [M, 2].
        slope: float [M, 2, 2].
    """
    return _means(texels, position[:, None] + torch.einsum("mij,kj->mki", slope, SAMPLES))


def sample_points(texels: Texels, position: Tensor) -> Tensor:
    """Textures at single points, float [M, 2]: float [M, L, 3]."""
    return _means(texels, position[:, None])


def affine_colours(texels: Texels, at: Tensor, share: Tensor) -> Tensor:
    """The sum of the colours of a pixel's samples, and its derivatives: float [M, 7, L, 3].

    They are those by the position (x, y) and by the slope (its first row, its second row).

    Args:
        at: float [M, 9, 2]: the place of each of SAMPLES.
        share: float [M, 9]: of each in the sum.
    """
    corners, x, y = _corners(texels, at)
    scale = texels.side / ATLAS
    right, down = (part[None, :, None] for part in SAMPLES.unbind(dim=1))
    along = torch.stack([y - 1, 1 - y, -y, y], dim=-1) * scale
    across = torch.stack([x - 1, -x, 1 - x, x], dim=-1) * scale
    here = torch.stack([(1 - x) * (1 - y), x * (1 - y), (1 - x) * y, x * y], dim=-1)
    parts = [here, along, across, along * right, along * down, across * right, across * down]
    shares = torch.stack(parts, dim=1) * share[:, None, :, None]
    found = shares.flatten(2) @ texels.colours[corners.flatten(1)]
    return found.view(len(at), len(parts), texels.colours.shape[1] // 3, 3)


def _corners(texels: Texels, at: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The four texels around points [M, K, 2], int [M, K, 4], and how far x and y are between."""
    side = texels.side
    at = (at * (side / ATLAS) - 0.5).clamp(0, side - 1)
    low = at.floor().clamp_max(max(side - 2, 0))
    x, y = (at - low).unbind(dim=-1)
    left, top = low.int().unbind(dim=-1)
    step = min(1, side - 1)
    first = top * side + left
    down = step * side
    corners = torch.stack([first, first + step, first + down, first + down + step], dim=-1)
    return corners, x, y


def _means(texels: Texels, at: Tensor) -> Tensor:
    """Means over the points ``at``, float [M, K, 2], each bilinear: float [M, L, 3]."""
    corners, x, y = _corners(texels, at)
    shares = torch.stack([(1 - x) * (1 - y), x * (1 - y), (1 - x) * y, x * y], dim=-1)
    colours = F.embedding_bag(
        corners.flatten(1),
        texels.colours,
        mode="sum",
        per_sample_weights=shares.flatten(1) / at.shape[1],
    )
    return colours.view(len(at), -1, 3)


def local_slopes(position: Tensor, grid: PixelGrid) -> Tensor:
    """The slope of the map at each pixel, float [P, 2, 2], by the pixels around that belong to it.

    Args:
        position: float [P, 2].

    A pixel on the other side of a jump does not belong to it. It is recognised as an outlier of
    the least squares fit, whose weights are refined four times.
    """
    offset = rightwards(WINDOW)
    squares = (offset[:, :, None] * offset[:, None]).flatten(1)
    parts = [torch.zeros(0, 2, 2)]
    for some in torch.split(torch.arange(len(position)), 8192):
        near = grid.neighbours(WINDOW, some)
        apart = (position[near.clamp_min(0)] - position[some, None]).transpose(1, 2)  # [P, 2, N]
        slope = torch.zeros(len(some), 2, 2)
        for tolerance in (12.0, 2.0, 2.0, 2.0):
            off = (apart - slope @ offset.T).square().sum(dim=1)
            weight = torch.where(near >= 0, (1 + off / tolerance**2) ** -2, 0.0)
            normal = (weight @ squares).view(-1, 2, 2) + 0.05 * torch.eye(2)
            target = ((weight[:, None] * apart) @ offset).transpose(1, 2)
            slope = torch.linalg.solve(normal, target).transpose(1, 2).clamp(-STEEPEST, STEEPEST)
        parts.append(slope)
    return torch.cat(parts)
