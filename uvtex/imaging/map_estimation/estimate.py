"""Estimates the UV map of one still camera, coarse to fine."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from uvtex.imaging.map_estimation import candidates as cands
from uvtex.imaging.map_estimation.belief import beliefs
from uvtex.imaging.map_estimation.candidates import Candidates
from uvtex.imaging.map_estimation.confidence import APART, Support, confidence, support
from uvtex.imaging.map_estimation.footprints import ATLAS, local_slopes, sample
from uvtex.imaging.map_estimation.light_line import LightPrior, evidence_table, fit_line
from uvtex.imaging.map_estimation.pixel_grid import PixelGrid
from uvtex.imaging.map_estimation.refine import Observations, Spread, refine

COARSEST = 96
"""The largest side, in pixels, at which every pixel is compared with every texel."""
TABLE = 64
"""The largest side of the textures, in texels, in that comparison."""
NOISE = 0.008
"""Least standard deviation of a pixel from its line, in linear light."""
TABLE_NOISE = 0.03
"""The same where positions are whole texels, so that edges of the paint do not fit."""
SATURATED = 0.99
"""Linear light from which a pixel counts as saturated: its light is no line there."""
BEND = 0.5
"""Standard deviation of second differences of maps of 64 pixels, in a 256th of the atlas."""
PLANE = 1.5
"""Standard deviation of a neighbour from a pixel's plane, likewise."""

OTHERS = 4
"""Number of other places that a pixel is compared with at each level."""


@dataclass(frozen=True)
class MapEstimate:
    """The estimate of a camera of h by w pixels."""

    uv: Tensor  # float [h, w, 2] in [0, 1], u right and v up; NaN where nothing changes
    slope: Tensor  # float [h, w, 2, 2]: change of uv by a pixel to the right and down; 0 likewise
    confidence: Tensor  # float [h, w] in [0, 1]: probability of an error below 2 / 256 of the atlas
    light: Tensor  # float [h, w, 6]: falling and reflected, linear; 0 where nothing changes
    support: Support


@dataclass(frozen=True)
class _Level:
    """The observations at one size."""

    seen: Observations
    grid: PixelGrid
    scale: float
    """64 / the longer side of the picture."""


def estimate_map(
    views: Tensor,  # float [L, 3, h, w] linear
    textures: Tensor,  # float [L, 3, T, T] linear
    changing: Tensor,  # bool [h, w]: the pixels that vary between liveries
) -> MapEstimate:
    """Finds the texel that each changing pixel of a still camera shows.

    The lower levels of the pyramid give the higher ones their candidates. At the lowest one the
    candidates are the peaks of a table of pixels and texels.

    Raises:
        ValueError: there are fewer than two liveries.
    """
    if len(views) < 2:
        raise ValueError("a map needs at least two liveries")
    sides = _sides(max(views.shape[-2:]))
    prior = LightPrior.of_showrooms()
    state: _Solved | None = None
    for side in sides:
        level = _level(views, textures, changing, side / sides[-1])
        if not len(level.grid.points):
            return _nothing(changing)
        known = _from_table(level, prior) if state is None else _from_parents(level, state)
        state = _solve(level, known, prior)
    assert state is not None  # there is at least one level
    return _result(level, state, prior)


def _sides(longest: int) -> list[int]:
    sides = [longest]
    while sides[0] > COARSEST:
        sides.insert(0, -(-sides[0] // 2))
    return sides


def _level(views: Tensor, textures: Tensor, changing: Tensor, share: float) -> _Level:
    if share < 1:
        size = [max(1, round(side * share)) for side in views.shape[-2:]]
        views = F.interpolate(views, size=size, mode="area")
        changing = F.interpolate(changing[None, None].float(), size=size, mode="area")[0, 0] >= 0.5
    side = max(views.shape[-2:])
    # By a whole number only: other means of texels are none that the camera has seen.
    textures = F.interpolate(textures, size=[reduced(textures.shape[-1], side)] * 2, mode="area")
    grid = PixelGrid(changing)
    row, column = grid.points.unbind(dim=1)
    pixels = views[:, :, row, column].permute(2, 0, 1).contiguous()
    weight = torch.where(pixels < SATURATED, 1.0, 0.02)
    seen = Observations(pixels, weight, textures.flatten(0, 1))
    return _Level(seen, grid, 64 / side)


def reduced(texels: int, side: int) -> int:
    """The side of a texture after a reduction by a whole number, at least ``side`` if it can be."""
    return texels // max(1, texels // side)


@dataclass(frozen=True)
class _Solved:
    grid: PixelGrid
    position: Tensor  # float [P, 2]
    slope: Tensor  # float [P, 2, 2]
    spread: Spread
    rivals: Candidates
    evidence: Tensor  # float [P, K], of the rivals
    belief: Tensor  # float [P, K]
    others: Candidates
    """OTHERS hypotheses that lie APART from each other. The rivals may all be of one place."""
    other_evidence: Tensor  # float [P, OTHERS]


def _from_table(level: _Level, prior: LightPrior) -> Candidates:
    """Candidates from the peaks of the table, the most likely first."""
    pixels, _, textures = level.seen
    liveries = pixels.shape[1]
    side = reduced(textures.shape[-1], TABLE)
    textures = F.interpolate(textures[None], size=(side, side), mode="area")[0]
    texels = textures.view(liveries, 3, -1).permute(2, 0, 1)
    evidence, at = [], []
    for some in torch.split(pixels, 1024):
        found = cands.peaks(evidence_table(some, texels, TABLE_NOISE, prior), side)
        evidence.append(found[0])
        at.append(found[1])
    known, position = torch.cat(evidence), torch.cat(at)
    flat = torch.zeros(*position.shape, 2)
    belief = beliefs(known, position, flat, level.grid, tolerance=5.0)
    order = belief.argsort(dim=1, descending=True)
    pixel = torch.arange(len(order))[:, None]
    return Candidates(position[pixel, order], flat)


def _from_parents(level: _Level, parents: _Solved) -> Candidates:
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
    return cands.joined(around, others)


def _solve(level: _Level, first: Candidates, prior: LightPrior) -> _Solved:
    """Alternates refinement with a new choice among the planes of the pixels around."""
    grid, seen, scale = level.grid, level.seen, level.scale
    position = first.position[:, 0]
    pixel = torch.arange(len(position))
    bend, tolerance = max(BEND * scale, 0.05), PLANE * max(scale, 0.25)
    if first.slope.abs().sum():
        position = _choose(level, first, prior, tolerance)
    for _ in range(2):
        slope = local_slopes(position, grid)
        position, _ = refine(position, slope, seen, grid, NOISE, prior, bend, rounds=4)
        slope = local_slopes(position, grid)
        around, there = cands.continued(position, slope, grid)
        own = Candidates(first.position, slope[:, None].expand_as(first.slope))
        everything = cands.joined(around, own)
        there = torch.cat([there, torch.ones_like(first.position[..., 0], dtype=torch.bool)], dim=1)
        known = _evidence(level, everything, prior).masked_fill(~there, 2 * cands.NEVER)
        rivals, evidence = cands.distinct(everything, known, apart=max(scale, 0.25))
        belief = beliefs(evidence, rivals.position, rivals.slope, grid, tolerance)
        others, other_evidence = cands.distinct(everything, known, APART, OTHERS)
        position = rivals.position[pixel, belief.argmax(dim=1)]
    slope = local_slopes(position, grid)
    position, spread = refine(position, slope, seen, grid, NOISE, prior, bend, rounds=5)
    slope = local_slopes(position, grid)
    return _Solved(grid, position, slope, spread, rivals, evidence, belief, others, other_evidence)


def _choose(level: _Level, some: Candidates, prior: LightPrior, tolerance: float) -> Tensor:
    """The position of each pixel's candidate with the highest belief, float [P, 2]."""
    evidence = _evidence(level, some, prior)
    belief = beliefs(evidence, some.position, some.slope, level.grid, tolerance)
    return some.position[torch.arange(len(belief)), belief.argmax(dim=1)]


def _evidence(level: _Level, some: Candidates, prior: LightPrior) -> Tensor:
    """The evidence of candidates, float [P, K]."""
    pixels, weight, textures = level.seen
    count, liveries = some.position.shape[1], pixels.shape[1]
    parts = []
    for rows in torch.split(torch.arange(len(pixels)), max(1, 2**21 // (27 * liveries * count))):
        shown = sample(textures, some.position[rows].flatten(0, 1), some.slope[rows].flatten(0, 1))
        shown = shown.view(len(rows), count, liveries, 3)
        fit = fit_line(pixels[rows, None], shown, weight[rows, None], NOISE, prior)
        parts.append(fit.evidence)
    return torch.cat(parts)


def _result(level: _Level, solved: _Solved, prior: LightPrior) -> MapEstimate:
    pixels, weight, textures = level.seen
    light, evidence, unexplained = [], [], []
    for rows in torch.split(torch.arange(len(pixels)), 4096):
        shown = sample(textures, solved.position[rows], solved.slope[rows])
        fit = fit_line(pixels[rows], shown, weight[rows], NOISE, prior)
        rest = pixels[rows] - fit.light[:, None, :3] * shown - fit.light[:, None, 3:]
        spread = (pixels[rows] - pixels[rows].mean(dim=1, keepdim=True)).square().sum(dim=(1, 2))
        unexplained.append((weight[rows] * rest.square()).sum(dim=(1, 2)) / spread.clamp_min(1e-9))
        light.append(fit.light)
        evidence.append(fit.evidence)
    told = support(
        solved.position,
        solved.slope,
        solved.spread.deviation(),
        torch.cat(evidence),
        torch.cat(unexplained),
        solved.rivals.position,
        solved.belief,
        solved.others.position,
        solved.other_evidence,
        level.grid,
        pixels.shape[1],
    )
    uv = torch.stack([solved.position[:, 0], ATLAS - solved.position[:, 1]], dim=1) / ATLAS
    slope = solved.slope / ATLAS * torch.tensor([1.0, -1.0])[:, None]
    grid = level.grid
    return MapEstimate(
        grid.picture(uv, torch.nan),
        grid.picture(slope, 0.0),
        grid.picture(confidence(told), 0.0),
        grid.picture(torch.cat(light), 0.0),
        told,
    )


def _nothing(changing: Tensor) -> MapEstimate:
    height, width = changing.shape
    return MapEstimate(
        torch.full((height, width, 2), torch.nan),
        torch.zeros(height, width, 2, 2),
        torch.zeros(height, width),
        torch.zeros(height, width, 6),
        Support.none(),
    )
