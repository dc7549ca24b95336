"""Pixels that no plane of their own explains: on the edge of a panel, or where the map is steep.

A part of such a pixel may show one place, and the rest another or no paint. A pixel is nine
samples. The planes of the pixels on two opposite sides are continued to it, and a straight edge
divides the samples between them. This is the model of layered flow (Wang and Adelson 1994) within
one pixel. Or the pixel shows one place, and the map has another slope there than around it, as on a
panel that is one pixel wide. The layers are chosen from a short list by their evidence. Then the
best few are refined: each plane's position and slope, by least squares of the colours (an affine
template, as in Lucas and Kanade 1981), with a prior around what was continued.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from uvtex.imaging.map_estimation.edge_pixels.layers import Layers, refined
from uvtex.imaging.map_estimation.edge_pixels.ways import (
    SIDES,
    SLOPES,
    STEPS,
    Ways,
    every_way,
)
from uvtex.imaging.map_estimation.footprints import ATLAS, SAMPLES, sample, sample_points
from uvtex.imaging.map_estimation.light_line import LightPrior, fit_line
from uvtex.imaging.map_estimation.pixel_grid import CROSS, PixelGrid, rightwards
from uvtex.imaging.map_estimation.refine import Observations

STEEPEST = 60.0
"""Largest of the other slopes with which a pixel's own plane is tried."""
JUMP = 6.0
"""Distance of two planes in a pixel from which they are two places."""
POOR = 0.8
"""Distance of a pixel from its line, in standard deviations of the noise, from which its own plane
does not explain it."""
LEAST_GAIN = 6.0
"""Log evidence by which what is refined must be better: six numbers of a plane fit any noise."""
PASSES = 2
"""The second pass continues the planes that the first has refined."""
REFINED = 8
"""Number of ways that are refined."""


class Divided(NamedTuple):
    """What each of P pixels shows."""

    samples: Tensor  # float [P, 9, 2]: the place of each sample; NaN where it shows no paint
    position: Tensor  # float [P, 2]: the middle of the larger of two places
    evidence: Tensor  # float [P]
    light: Tensor  # float [P, 6]
    squares: Tensor  # float [P]: sum of the weighted squares of what the line leaves


def divide(
    position: Tensor,
    slope: Tensor,
    seen: Observations,
    grid: PixelGrid,
    noise: float,
    prior: LightPrior,
) -> Divided:
    """Explains the pixels that their own planes do not explain.

    Args:
        position: float [P, 2].
        slope: float [P, 2, 2].
        noise: standard deviation of the pixels from their lines, in linear light.

    A part without paint and a place that fills the pixel less fast explain the same colours. So a
    division costs nothing on a side where no pixel changes, and its price elsewhere.
    """
    found = _whole(position, slope, seen, noise, prior)
    limit = (POOR * noise) ** 2 * seen.pixels[0].numel()
    poor = (found.squares > limit).nonzero()[:, 0]
    ways = every_way()
    whole = found.evidence[poor]
    for _ in range(PASSES if len(poor) else 0):
        around = _Around.of(position, slope, grid)
        position, slope = position.clone(), slope.clone()
        for number, rows in zip(torch.split(poor, 256), torch.split(whole, 256), strict=True):
            part = Observations(seen.pixels[number], seen.weight[number], seen.texels)
            best, planes = _best(*around.planes(number), ways, part, noise, prior)
            better = best.evidence > rows + LEAST_GAIN
            number = number[better]
            for column, values in zip(found, best, strict=True):
                column[number] = values[better]
            planes = planes[better]
            position[number] = planes.mean(dim=1)
            tilt = torch.einsum("mki,kj->mij", planes - position[number, None], SAMPLES)
            slope[number] = tilt / SAMPLES[:, 0].square().sum()
    return found


def _whole(
    position: Tensor, slope: Tensor, seen: Observations, noise: float, prior: LightPrior
) -> Divided:
    """Each pixel as its own plane."""
    samples = position[:, None] + torch.einsum("pij,kj->pki", slope, SAMPLES)
    shown = sample(seen.texels, position, slope)
    evidence, light, squares = _fit(shown, seen, noise, prior)
    return Divided(samples.clamp(0, ATLAS), position.clone(), evidence, light, squares)


def _fit(
    shown: Tensor, seen: Observations, noise: float, prior: LightPrior
) -> tuple[Tensor, Tensor, Tensor]:
    """Evidence [P], light [P, 6] and weighted squares [P] of pixels that show ``shown``."""
    fit = fit_line(seen.pixels, shown, seen.weight, noise, prior)
    squares = (seen.weight * fit.rest(seen.pixels, shown).square()).sum(dim=(1, 2))
    return fit.evidence, fit.light, squares


class _Around(NamedTuple):
    """The planes that may continue to a pixel."""

    near: Tensor  # int64 [P, OWN + 1]: the pixels of SIDES, STEPS of each, and the pixel; or -1
    position: Tensor  # float [P, 2]
    slope: Tensor  # float [P, 2, 2]
    others: Tensor  # float [P, SLOPES - 1, 2, 2]: other slopes of the pixel's own plane

    @classmethod
    def of(cls, position: Tensor, slope: Tensor, grid: PixelGrid) -> _Around:
        """The planes around each pixel."""
        near = torch.cat([grid.neighbours(_AROUND), torch.arange(len(position))[:, None]], dim=1)
        return cls(near, position, slope, _other_slopes(position, slope, grid))

    def planes(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """The samples of all planes, float [N, PLANES, 9, 2], and whether each is there."""
        steps = torch.cat([SAMPLES - rightwards(_AROUND)[:, None], SAMPLES[None]])
        source = self.near[pixels].clamp_min(0)
        tilt = torch.einsum("pnij,nkj->pnki", self.slope[source], steps)
        own = torch.einsum("pnij,kj->pnki", self.others[pixels], SAMPLES)
        planes = [self.position[source][:, :, None] + tilt, self.position[pixels, None, None] + own]
        there = self.near[pixels] >= 0
        there = torch.cat([there, there[:, -1:].expand(-1, SLOPES - 1)], dim=1)
        return torch.cat(planes, dim=1).clamp(0, ATLAS), there


_AROUND = tuple((n * down, n * right) for n in range(1, STEPS + 1) for down, right in SIDES)


def _other_slopes(position: Tensor, slope: Tensor, grid: PixelGrid) -> Tensor:
    """All slopes by differences to the next pixels but the map's own: [P, SLOPES - 1, 2, 2].

    In each direction it is the map's, or the difference to the next pixel, to the one before, or
    the mean of both. A panel that is one pixel wide has the slope that leads from one to the other.
    """
    near = grid.neighbours(CROSS)
    there = (near >= 0)[..., None]
    apart = position[near.clamp_min(0)] - position[:, None]
    columns = []
    for axis, (after, before) in enumerate(((0, 1), (2, 3))):
        own = slope[..., axis]
        ahead = torch.where(there[:, after], apart[:, after], own)
        behind = torch.where(there[:, before], -apart[:, before], own)
        columns.append((own, (ahead + behind) / 2, ahead, behind))
    every = [torch.stack([x, y], dim=-1) for x in columns[0] for y in columns[1]]
    return torch.stack(every[1:], dim=1).clamp(-STEEPEST, STEEPEST)


def _best(
    planes: Tensor,  # float [P, PLANES, 9, 2]
    there: Tensor,  # bool [P, PLANES]
    ways: Ways,
    seen: Observations,
    noise: float,
    prior: LightPrior,
) -> tuple[Divided, Tensor]:
    """The best way of each pixel, and the samples of its first plane in the whole pixel."""
    evidence = _evidence(planes, there, ways, seen, noise, prior)
    price = ways.prices(there)
    value, top = (evidence - price).topk(REFINED, dim=1)
    # The pixel's own plane is always among them.
    own = (top == 0).any(dim=1)
    top[:, -1] = torch.where(own, top[:, -1], 0)
    value[:, -1] = torch.where(own, value[:, -1], evidence[:, 0])
    pixel = torch.arange(len(top))[:, None].expand_as(top).flatten()
    way = top.flatten()
    mask = ways.mask[way]
    shares = torch.stack([mask, ~mask & ways.two[way, None]], dim=1).float()
    shares = shares / shares.sum(dim=(1, 2), keepdim=True)
    layers = Layers(planes[pixel, ways.first[way]], planes[pixel, ways.second[way]], shares)
    part = Observations(seen.pixels[pixel], seen.weight[pixel], seen.texels)
    change, reached = refined(layers, part, noise, prior)
    reached = (reached.view_as(top) - price.gather(1, top)).masked_fill(value.isinf(), -torch.inf)
    best = torch.arange(len(top)) * REFINED + reached.argmax(dim=1)
    chosen = Layers(*(part[best] for part in layers)).moved(change[best])
    one, two = chosen.colours(seen.texels)
    told, light, squares = _fit(one[:, 0] + two[:, 0], seen, noise, prior)
    held = (mask[best, :, None] * chosen.first).sum(dim=1) / mask[best].sum(dim=1, keepdim=True)
    return Divided(chosen.samples(), held, told, light, squares), chosen.first


def _evidence(
    planes: Tensor,
    there: Tensor,
    ways: Ways,
    seen: Observations,
    noise: float,
    prior: LightPrior,
) -> Tensor:
    """The evidence of each way before it is refined, float [P, W]; -inf where it is none."""
    colours = sample_points(seen.texels, planes.flatten(0, 2))  # [P * PLANES * 9, L, 3]
    colours = colours.view(len(planes), -1, *colours.shape[1:])
    shown = torch.einsum("wk,pklc->pwlc", ways.weights.flatten(1), colours)
    middle = planes.mean(dim=2)
    apart = (middle[:, ways.first] - middle[:, ways.second]).norm(dim=-1) >= JUMP
    allowed = there[:, ways.first] & (~ways.two | (there[:, ways.second] & apart))
    which, way = allowed.nonzero().unbind(dim=1)
    fit = fit_line(seen.pixels[which], shown[which, way], seen.weight[which], noise, prior)
    evidence = shown.new_full(allowed.shape, -torch.inf)
    evidence[which, way] = fit.evidence
    return evidence
