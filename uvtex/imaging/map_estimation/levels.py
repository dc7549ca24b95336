"""The sizes at which a camera's map is solved, and what is known at each."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from uvtex.imaging.compose import linear_from_srgb
from uvtex.imaging.map_estimation.belief import beliefs
from uvtex.imaging.map_estimation.candidates import Candidates, joined, peaks
from uvtex.imaging.map_estimation.footprints import ATLAS, Texels
from uvtex.imaging.map_estimation.pixel_grid import PixelGrid
from uvtex.imaging.map_estimation.refine import Observations, Spread
from uvtex.imaging.map_estimation.trusted import Facing

COARSEST = 96
"""The largest side, in pixels, at which every pixel is compared with every texel."""
BEND = 0.5
"""Standard deviation of second differences of maps of 64 pixels, in a 256th of the atlas."""
PLANE = 3.0
"""Standard deviation of a neighbour from a pixel's plane, likewise."""
SATURATED = 0.99
"""Linear light from which a pixel counts as saturated: its light is no line there."""


@dataclass(frozen=True)
class Level:
    """The observations at one size."""

    seen: Observations
    grid: PixelGrid
    scale: float
    """64 / the longer side of the picture."""

    def bend(self, stiffness: float) -> float:
        """The standard deviation of a second difference, in units of positions."""
        return max(BEND * self.scale, 0.05) / stiffness

    def tolerance(self, stiffness: float) -> float:
        """The standard deviation of a neighbour from a pixel's plane, likewise."""
        return PLANE * max(self.scale, 0.25) / stiffness


@dataclass(frozen=True)
class Solved:
    """What is known of P pixels after a level."""

    grid: PixelGrid
    position: Tensor  # float [P, 2]
    slope: Tensor  # float [P, 2, 2]
    spread: Spread
    others: Candidates
    """OTHERS hypotheses that lie APART from each other."""
    other_evidence: Tensor  # float [P, OTHERS]
    noise: float
    """Standard deviation of the pixels from their lines, in linear light."""
    facing: Facing | None
    """None where too few pixels can be trusted."""
    scale: float
    """As in :class:`Level`."""


def sides_of(longest: int) -> list[int]:
    """The longer sides of a pyramid, the smallest first."""
    sides = [longest]
    while sides[0] > COARSEST:
        sides.insert(0, -(-sides[0] // 2))
    return sides


def level_of(
    views: Tensor,  # uint8 [L, 3, h, w], sRGB
    textures: Tensor,  # float [L, 3, T, T], linear
    changing: Tensor,  # bool [h, w]
    share: float,
) -> Level:
    """The observations with the sides of the views reduced to ``share``."""
    size = [max(1, round(side * share)) for side in views.shape[-2:]]
    if share < 1:
        changing = F.interpolate(changing[None, None].float(), size=size, mode="area")[0, 0] >= 0.5
    side = max(size)
    # By a whole number only: other means of texels are none that the camera has seen.
    texels = [reduced(textures.shape[-1], side)] * 2
    grid = PixelGrid(changing)
    pixels = torch.empty(len(grid.points), len(views), 3)
    colours = torch.empty(texels[0] ** 2, len(views), 3)
    for livery, (view, texture) in enumerate(zip(views, textures, strict=True)):
        light = linear_from_srgb(view.float() / 255)
        if share < 1:
            light = F.interpolate(light[None], size=size, mode="area")[0]
        pixels[:, livery] = light[:, changing].T
        paint = F.interpolate(texture[None], size=texels, mode="area")[0]
        colours[:, livery] = paint.flatten(1).T
    weight = torch.where(pixels < SATURATED, 1.0, 0.02)
    return Level(
        Observations(pixels, weight, Texels(colours.flatten(1), texels[0])), grid, 64 / side
    )


def reduced(texels: int, side: int) -> int:
    """The side of a texture after a reduction by a whole number, at least ``side`` if it can be."""
    return texels // max(1, texels // side)


def from_table(level: Level, table: Tensor) -> Candidates:
    """Candidates from the peaks of the table, the most likely first."""
    found = [peaks(some) for some in torch.split(table, 1024)]
    known, position = (torch.cat(parts) for parts in zip(*found, strict=True))
    flat = torch.zeros(*position.shape, 2)
    belief = beliefs(known, position, flat, level.grid, tolerance=5.0)
    order = belief.argsort(dim=1, descending=True)
    pixel = torch.arange(len(order))[:, None]
    return Candidates(position[pixel, order], flat)


def from_parents(level: Level, parents: Solved) -> Candidates:
    """Candidates from the planes of the coarser pixels around, the nearest first.

    The other hypotheses of the nearest one follow, so that a pixel is compared with other places at
    each level.
    """
    position, slope, coarse = parents.position, parents.slope, parents.grid
    size = torch.tensor(level.grid.chosen.shape)
    ratio = torch.tensor(coarse.chosen.shape) / size
    place = (level.grid.points + 0.5) * ratio - 0.5  # in coarse pixels
    nearest = place.round().long()
    found, slopes, away, numbers = [], [], [], []
    for down in (0, -1, 1):
        for right in (0, -1, 1):
            at = nearest + torch.tensor([down, right])
            row, column = at.unbind(dim=1)
            height, width = coarse.chosen.shape
            inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
            number = coarse.number[row.clamp(0, height - 1), column.clamp(0, width - 1)]
            there = inside & (number >= 0)
            step = (place - at).flip(1)  # x, y
            plane = slope[number.clamp_min(0)]
            onwards = position[number.clamp_min(0)] + (plane @ step[:, :, None])[..., 0]
            numbers.append(number.clamp_min(0))
            found.append(onwards)
            slopes.append(plane * ratio.flip(0))
            away.append(torch.where(there, step.square().sum(dim=1), torch.inf))
    near, order = torch.stack(away, dim=1).sort(dim=1, stable=True)
    pixel = torch.arange(len(order))[:, None]
    # A pixel without coarse pixels around begins in the middle, and is found by its neighbours.
    at = torch.stack(found, dim=1)[pixel, order]
    at = torch.where(torch.isinf(near)[..., None], ATLAS / 2, at).clamp(0, ATLAS)
    around = Candidates(at, torch.stack(slopes, dim=1)[pixel, order])
    parent = torch.stack(numbers, dim=1)[pixel, order][:, 0]
    others = Candidates(
        parents.others.position[parent], parents.others.slope[parent] * ratio.flip(0)
    )
    return joined(around, others)
