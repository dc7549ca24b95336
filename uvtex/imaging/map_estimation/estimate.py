"""Estimates the UV map of one still camera, coarse to fine."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from uvtex.imaging.map_estimation import candidates as cands
from uvtex.imaging.map_estimation.belief import Labels, beliefs, fused
from uvtex.imaging.map_estimation.candidates import Candidates
from uvtex.imaging.map_estimation.certainty.confidence import confidence
from uvtex.imaging.map_estimation.certainty.support import APART, Support, support
from uvtex.imaging.map_estimation.edge_pixels.divide import divide
from uvtex.imaging.map_estimation.footprints import ATLAS, local_slopes, sample
from uvtex.imaging.map_estimation.levels import (
    Level,
    Solved,
    from_parents,
    from_table,
    level_of,
    sides_of,
)
from uvtex.imaging.map_estimation.light_line import LightPrior, fit_line
from uvtex.imaging.map_estimation.refine import noise_measured, refine
from uvtex.imaging.map_estimation.texel_table import table_of
from uvtex.imaging.map_estimation.trusted import FEWEST, TURNED, Facing, far_planes, trusted_pixels
from uvtex.imaging.map_estimation.window_planes import window_planes

NOISE = 0.008
"""Standard deviation of a pixel from its line, in linear light, before it is measured."""

TRUST = (1.0, 0.3, 0.3, 0.3, 0.3, 0.3)
LATER_TRUST = (0.5, 0.5, 0.5, 0.5)
"""How far a pixel's evidence counts in each new choice among planes, at the lowest level and above.

What a line and a reduced texture do not explain is alike in neighbours, so that together they tell
less than each of them alone.
"""
FAR_FROM = 2
"""The first choice at the lowest level that has planes of trusted pixels."""
MORE_TURNED = (20.0, 60.0)
"""How often the log odds of an orientation count in further maps of the lowest level.

Where that is the only level, there are none: three maps take three times as long there.
"""
PAIRS = 2**27
"""Number of pairs of neighbours' candidates, in each direction. A pair takes four bytes."""
FEWEST_KEPT = 8
"""Number of candidates of a pixel that a choice is made among at least."""
OTHERS = 4
"""Number of other places that a pixel is compared with at each level."""


@dataclass(frozen=True)
class MapEstimate:
    """The estimate of a camera of h by w pixels."""

    uv: Tensor  # float [h, w, 2] in [0, 1], u right and v up; NaN where nothing changes
    samples: Tensor  # float [h, w, 9, 2]: likewise of each of SAMPLES; NaN where it shows no paint
    confidence: Tensor  # float [h, w] in [0, 1]: probability of an error below 2 / 256 of the atlas
    light: Tensor  # float [h, w, 6]: falling and reflected, linear; 0 where nothing changes
    support: Support


def estimate_map(
    views: Tensor,  # uint8 [L, 3, h, w], sRGB
    textures: Tensor,  # float [L, 3, T, T], linear
    changing: Tensor,  # bool [h, w]: the pixels that vary between liveries
    tell: Callable[[str], None] = lambda words: None,
    stiffness: float = 1.0,
) -> MapEstimate:
    """Finds the texel that each changing pixel of a still camera shows.

    The lower levels of the pyramid give the higher ones their candidates. At the lowest one the
    candidates are the peaks of a table of pixels and texels.

    Args:
        tell: receives in words what is being done.
        stiffness: divides BEND and PLANE. Neighbours lie nearer to a plane where it is larger.

    Raises:
        ValueError: there are fewer than two liveries.
    """
    if len(views) < 2:
        raise ValueError("a map needs at least two liveries")
    sides = sides_of(max(views.shape[-2:]))
    prior = LightPrior.of_showrooms()
    state: Solved | None = None
    for side in sides:
        level = level_of(views, textures, changing, side / sides[-1])
        if not len(level.grid.points):
            return _nothing(changing)
        if state is None:
            table = table_of(level, prior)
            more = MORE_TURNED if len(sides) > 1 else ()
            state = _lowest(level, table, prior, tell, stiffness, more)
        else:
            known = from_parents(level, state)
            state = _solve(level, known, prior, None, state, tell, stiffness)
    assert state is not None  # there is at least one level
    tell(f"{side} pixels, edges")
    return _result(level, state, prior)


def _lowest(
    level: Level,
    table: Tensor,
    prior: LightPrior,
    tell: Callable[[str], None],
    stiffness: float,
    more: Sequence[float],
) -> Solved:
    """The lowest level: the best parts of a map, and of further ones as for MORE_TURNED."""
    first = from_table(level, table)
    found = _solve(level, first, prior, table, None, tell, stiffness)
    if found.facing is None or not more:
        return found
    maps = [found]
    for number, often in enumerate(more, 2):

        def told(words: str, number: int = number) -> None:
            tell(f"{words}, map {number} of {len(more) + 1}")

        maps.append(_solve(level, first, prior, table, None, told, stiffness, often))
    return _fused(level, maps, prior, stiffness)


def _solve(
    level: Level,
    first: Candidates,
    prior: LightPrior,
    table: Tensor | None,
    below: Solved | None,
    tell: Callable[[str], None],
    stiffness: float,
    often: float = TURNED,
) -> Solved:
    """Alternates refinement with a new choice among planes, of pixels around and of far ones.

    Args:
        table: the evidence of every pixel for every texel; at the lowest level only.
        below: what the level below has found, if there is one.
        often: how often the log odds of an orientation count.
    """
    grid, seen, scale = level.grid, level.seen, level.scale
    position, noise = first.position[:, 0], NOISE
    bend, tolerance = level.bend(stiffness), level.tolerance(stiffness)
    facing: Facing | None = None
    trusts: tuple[float, ...] = TRUST
    far_from = FAR_FROM
    if below is not None:
        noise, trusts, far_from = below.noise, LATER_TRUST, 0
        facing = below.facing and below.facing.enlarged(below.scale / scale)
    evidence = _evidence(level, first, prior, noise)
    others, other_evidence = cands.distinct(first, evidence, APART, OTHERS)
    if below is not None:
        position = _choose(level, first, evidence, facing, trusts[0], tolerance)
    for turn, trust in enumerate(trusts):
        tell(f"{max(grid.chosen.shape)} pixels, choice {turn + 1} of {len(trusts)}")
        slope = local_slopes(position, grid)
        position, _ = refine(position, slope, seen, grid, noise, prior, bend, rounds=4)
        noise = noise_measured(position, slope, seen, prior, noise)
        slope = local_slopes(position, grid)
        around, there = cands.continued(position, slope, grid)
        own = Candidates(first.position, slope[:, None].expand_as(first.slope))
        everything = cands.joined(around, own)
        there = torch.cat([there, torch.ones_like(first.position[..., 0], dtype=torch.bool)], dim=1)
        if turn >= far_from:
            here = Candidates(position[:, None], slope[:, None])
            own_evidence = _evidence(level, here, prior, noise)[:, 0]
            trusted = trusted_pixels(
                position, slope, own_evidence, others, other_evidence, APART, grid
            )
            if trusted.sum() >= FEWEST:
                facing = Facing.of(slope, trusted, often)
                more = [far_planes(position, slope, trusted, grid)]
                if table is not None:
                    more.append(window_planes(table, grid, slope, trusted))
                everything = cands.joined(everything, *(planes for planes, _ in more))
                there = torch.cat([there, *(seen for _, seen in more)], dim=1)
        evidence = _evidence(level, everything, prior, noise).masked_fill(~there, 2 * cands.NEVER)
        # The rivals may all be of one place.
        others, other_evidence = cands.distinct(everything, evidence, APART, OTHERS)
        position = _choose(level, everything, evidence, facing, trust, tolerance)
    slope = local_slopes(position, grid)
    position, spread = refine(position, slope, seen, grid, noise, prior, bend, rounds=5)
    slope = local_slopes(position, grid)
    return Solved(grid, position, slope, spread, others, other_evidence, noise, facing, scale)


def _fused(level: Level, maps: list[Solved], prior: LightPrior, stiffness: float) -> Solved:
    """The best parts of maps, by the orientation and the noise of the first one."""
    grid, noise, facing = level.grid, maps[0].noise, maps[0].facing
    assert facing is not None
    places = Candidates(
        torch.stack([one.position for one in maps], dim=1),
        torch.stack([one.slope for one in maps], dim=1),
    )
    evidence = _evidence(level, places, prior, noise)
    told = TRUST[-1] * (evidence + facing.log_prior(places.slope))
    labels = [
        Labels(told[:, k], places.position[:, k], places.slope[:, k]) for k in range(len(maps))
    ]
    position = fused(labels, grid, level.tolerance(stiffness)).position
    slope = local_slopes(position, grid)
    bend = level.bend(stiffness)
    position, spread = refine(position, slope, level.seen, grid, noise, prior, bend, rounds=5)
    every = cands.joined(places, *(one.others for one in maps))
    others, told = cands.distinct(every, _evidence(level, every, prior, noise), APART, OTHERS)
    slope = local_slopes(position, grid)
    return Solved(grid, position, slope, spread, others, told, noise, facing, level.scale)


def _choose(
    level: Level,
    some: Candidates,
    evidence: Tensor,
    facing: Facing | None,
    trust: float,
    tolerance: float,
) -> Tensor:
    """The position of each pixel's candidate with the highest belief, float [P, 2].

    Args:
        evidence: float [P, K].
        trust: how far the evidence counts.
        tolerance: standard deviation of a neighbour from a pixel's plane, in units of positions.
    """
    known = evidence if facing is None else evidence + facing.log_prior(some.slope)
    kept = min(cands.KEPT, max(FEWEST_KEPT, int((PAIRS / len(evidence)) ** 0.5)))
    rivals, known = cands.distinct(some, known, max(level.scale, 0.25), kept)
    belief = beliefs(trust * known, rivals.position, rivals.slope, level.grid, tolerance)
    return rivals.position[torch.arange(len(belief)), belief.argmax(dim=1)]


def _evidence(level: Level, some: Candidates, prior: LightPrior, noise: float) -> Tensor:
    """The evidence of candidates, float [P, K]."""
    pixels, weight, texels = level.seen
    count, liveries = some.position.shape[1], pixels.shape[1]
    parts = []
    for rows in torch.split(torch.arange(len(pixels)), max(1, 2**21 // (27 * liveries * count))):
        shown = sample(texels, some.position[rows].flatten(0, 1), some.slope[rows].flatten(0, 1))
        shown = shown.view(len(rows), count, liveries, 3)
        fit = fit_line(pixels[rows, None], shown, weight[rows, None], noise, prior)
        parts.append(fit.evidence)
    return torch.cat(parts)


def _result(level: Level, solved: Solved, prior: LightPrior) -> MapEstimate:
    pixels = level.seen.pixels
    grid, noise = level.grid, solved.noise
    parts = divide(solved.position, solved.slope, level.seen, grid, noise, prior)
    misfit = (parts.squares / (noise**2 * pixels[0].numel())).clamp_min(1e-4).log() / 2
    told = support(parts, solved, misfit)
    return MapEstimate(
        grid.picture(_uv(parts.position), torch.nan),
        grid.picture(_uv(parts.samples), torch.nan),
        grid.picture(confidence(told), 0.0),
        grid.picture(parts.light, 0.0),
        told,
    )


def _uv(position: Tensor) -> Tensor:
    """Positions [..., 2] as u right and v up, in [0, 1]."""
    uv = position / ATLAS
    return torch.stack([uv[..., 0], 1 - uv[..., 1]], dim=-1)


def _nothing(changing: Tensor) -> MapEstimate:
    height, width = changing.shape
    return MapEstimate(
        torch.full((height, width, 2), torch.nan),
        torch.full((height, width, 9, 2), torch.nan),
        torch.zeros(height, width),
        torch.zeros(height, width, 6),
        Support.none(),
    )
