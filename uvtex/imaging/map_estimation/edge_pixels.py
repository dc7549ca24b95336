"""Pixels on the edge of a panel: a part of the pixel shows one place, the rest another or no paint.

A pixel is nine samples. The planes of the pixels on two opposite sides are continued to it, and a
straight edge divides the samples between them. This is the model of layered flow (Wang and Adelson
1994) within one pixel. The layers are chosen from a short list, by their evidence.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from uvtex.imaging.map_estimation.footprints import ATLAS, SAMPLES, sample_points
from uvtex.imaging.map_estimation.light_line import LightPrior, fit_line
from uvtex.imaging.map_estimation.pixel_grid import PixelGrid, rightwards
from uvtex.imaging.map_estimation.refine import Observations

SIDES = ((0, -1), (-1, 0), (-1, -1), (-1, 1), (0, 1), (1, 0), (1, 1), (1, -1))
"""Offsets (down, right) of the sides. The second half are the opposites of the first."""
STEPS = 3
"""Number of pixels on each side whose planes are continued."""
OWN = len(SIDES) * STEPS
"""The number of a pixel's own plane, after those of its sides."""
JUMP = 6.0
"""Distance of two planes in a pixel from which they are two places."""
PRICE = 6.0
"""The log evidence by which a divided pixel must be better than a whole one."""


class Divided(NamedTuple):
    """What each of P pixels shows."""

    samples: Tensor  # float [P, 9, 2]: the place of each sample; NaN where it shows no paint
    position: Tensor  # float [P, 2]: the middle of the larger of two places
    gain: Tensor  # float [P]: log evidence over the whole pixel; 0 where that is kept
    evidence: Tensor  # float [P]
    light: Tensor  # float [P, 6]
    squares: Tensor  # float [P]: sum of the weighted squares of what the line leaves


class _Ways(NamedTuple):
    """W ways to divide a pixel. The first is not to."""

    first: Tensor  # int64 [W]: the plane of the samples in `mask`
    second: Tensor  # int64 [W]: that of the others, where `two`
    mask: Tensor  # bool [W, 9]
    two: Tensor  # bool [W]: the others show a place. Otherwise they show no paint
    weights: Tensor  # float [W, OWN + 1, 9]: the share of each sample of each plane in the colour


def divide(
    position: Tensor,
    slope: Tensor,
    seen: Observations,
    grid: PixelGrid,
    noise: float,
    prior: LightPrior,
) -> Divided:
    """Divides the pixels that two places, or a place and no paint, explain better than one.

    Args:
        position: float [P, 2].
        slope: float [P, 2, 2].
        noise: standard deviation of the pixels from their lines, in linear light.
    """
    around = tuple((n * down, n * right) for n in range(1, STEPS + 1) for down, right in SIDES)
    near = grid.neighbours(around)
    steps = torch.cat([SAMPLES - rightwards(around)[:, None], SAMPLES[None]])  # [OWN + 1, 9, 2]
    ways = _ways()
    parts = []
    for rows in torch.split(torch.arange(len(position)), 512):
        source = torch.cat([near[rows].clamp_min(0), rows[:, None]], dim=1)
        planes = position[source][:, :, None]
        planes = planes + torch.einsum("pnij,nkj->pnki", slope[source], steps)
        there = torch.cat([near[rows] >= 0, torch.ones_like(near[rows, :1]) > 0], dim=1)
        part = Observations(seen.pixels[rows], seen.weight[rows], seen.texels)
        parts.append(_divide(planes.clamp(0, ATLAS), there, ways, part, noise, prior))
    return Divided(*(torch.cat(columns) for columns in zip(*parts, strict=True)))


def _divide(
    planes: Tensor,  # float [P, OWN + 1, 9, 2]
    there: Tensor,  # bool [P, OWN + 1]
    ways: _Ways,
    seen: Observations,
    noise: float,
    prior: LightPrior,
) -> Divided:
    colours = sample_points(seen.texels, planes.flatten(0, 2))  # [P * (OWN + 1) * 9, L, 3]
    colours = colours.view(len(planes), -1, *colours.shape[1:])
    shown = torch.einsum("wk,pklc->pwlc", ways.weights.flatten(1), colours)
    middle = planes.mean(dim=2)
    apart = (middle[:, ways.first] - middle[:, ways.second]).norm(dim=-1) >= JUMP
    allowed = there[:, ways.first] & (~ways.two | (there[:, ways.second] & apart))
    which, way = allowed.nonzero().unbind(dim=1)
    fit = fit_line(seen.pixels[which], shown[which, way], seen.weight[which], noise, prior)
    evidence = shown.new_full(allowed.shape, -torch.inf)
    evidence[which, way] = fit.evidence
    price = torch.full((len(ways.two),), PRICE)
    price[0] = 0
    best = (evidence - price).argmax(dim=1)
    pixel = torch.arange(len(best))
    mask = ways.mask[best][..., None]
    other = planes[pixel, ways.second[best]].masked_fill(~ways.two[best, None, None], torch.nan)
    samples = torch.where(mask, planes[pixel, ways.first[best]], other)
    held = (samples * mask).nansum(dim=1) / mask.sum(dim=1)
    fit = fit_line(seen.pixels, shown[pixel, best], seen.weight, noise, prior)
    light = fit.light[:, None]
    rest = seen.pixels - light[..., :3] * shown[pixel, best] - light[..., 3:]
    squares = (seen.weight * rest.square()).sum(dim=(1, 2))
    gain = evidence[pixel, best] - evidence[:, 0]
    return Divided(samples, held, gain, evidence[pixel, best], fit.light, squares)


def _ways() -> _Ways:
    """The pixel as a whole, each side's planes with no paint beside them, and pairs of sides."""
    away = rightwards(SIDES) @ SAMPLES.T
    halves = torch.stack([away > 0.1, away > -0.1], dim=1)  # [8, 2, 9]: three and six samples
    found = [(OWN, -1, torch.ones(9, dtype=torch.bool))]
    sides = len(SIDES)
    for side in range(sides):
        planes = range(side, OWN, sides)
        found += [(plane, -1, half) for plane in (*planes, OWN) for half in halves[side]]
        # The larger part comes first.
        others = range((side + sides // 2) % sides, OWN, sides)
        found += [(plane, other, halves[side, 1]) for plane in planes for other in others]
    first, second, masks = zip(*found, strict=True)
    mask, two = torch.stack(masks), torch.tensor(second) >= 0
    weights = torch.zeros(len(found), OWN + 1, 9)
    way = torch.arange(len(found))
    weights[way, torch.tensor(first)] += mask.float()
    weights[way, torch.tensor(second)] += (~mask & two[:, None]).float()
    weights = weights / weights.sum(dim=(1, 2), keepdim=True)
    return _Ways(torch.tensor(first), torch.tensor(second), mask, two, weights)
