"""Agreement of neighbouring pixels: beliefs in candidates, and the better parts of several maps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import breadth_first_order, maximum_flow
from torch import Tensor

from uvtex.imaging.map_estimation.pixel_grid import CROSS, OPPOSITE, PixelGrid, rightwards

FORWARDS = (0, 2)
"""The numbers in CROSS of the directions in which neighbours are paired: each pair once."""
CACHED = 512
"""Number of pairs that are compared at a time, so that they stay in the processor's cache."""
ROUNDS = 15
DAMPING = 0.4
JUMP = 7.0
"""The log probability that a jump of the map costs. A jump of any length costs the same."""

GRAIN = 200.0
"""Capacity of an edge of a cut for one log probability. Capacities are whole numbers."""


class Labels(NamedTuple):
    """A plane at each of P pixels, and what speaks for it."""

    evidence: Tensor  # float [P], log likelihoods
    position: Tensor  # float [P, 2]
    slope: Tensor  # float [P, 2, 2]


def beliefs(
    evidence: Tensor, position: Tensor, slope: Tensor, grid: PixelGrid, tolerance: float
) -> Tensor:
    """Log belief in each candidate, float [P, K], by its evidence and by the pixels around it.

    Neighbours should lie on one plane: the position of a candidate, continued by its slope for one
    pixel, is a candidate's position there. The messages are those of loopy belief propagation by
    sums (Besse et al. 2014 use it for continuous maps, by PatchMatch), which is damped.

    Args:
        evidence: float [P, K], log likelihoods.
        position: float [P, K, 2].
        slope: float [P, K, 2, 2].
        tolerance: standard deviation from the plane, in units of positions.
    """
    near = grid.neighbours(CROSS)
    steps = rightwards(CROSS)
    borders = []
    for d in FORWARDS:
        pixel = (near[:, d] >= 0).nonzero()[:, 0]
        other = near[pixel, d]
        pair = _agreement(position, slope, pixel, other, steps[d], tolerance)
        borders.append((d, pixel, other, pair))
    messages = torch.zeros(len(CROSS), *evidence.shape)
    for _ in range(ROUNDS):
        belief = evidence + messages.sum(dim=0)
        sent = torch.zeros_like(messages)
        for d, pixel, other, pair in borders:
            back = OPPOSITE[d]
            told = torch.softmax(belief[other] - messages[back][other], dim=1)
            sent[d][pixel] = _log_share((told[:, None] @ pair)[:, 0])
            told = torch.softmax(belief[pixel] - messages[d][pixel], dim=1)
            sent[back][other] = _log_share((pair @ told[:, :, None])[:, :, 0])
        messages = DAMPING * messages + (1 - DAMPING) * sent
    return torch.log_softmax(evidence + messages.sum(dim=0), dim=1)


def _log_share(message: Tensor) -> Tensor:
    return (message / message.sum(dim=1, keepdim=True)).log()


def _agreement(
    position: Tensor, slope: Tensor, pixel: Tensor, other: Tensor, step: Tensor, tolerance: float
) -> Tensor:
    """Potentials of the candidates of ``other`` with those of ``pixel``, at ``step``: [N, K, K]."""
    ahead, behind = position + slope @ step, position - slope @ step
    found = position.new_empty(len(pixel), position.shape[1], position.shape[1])
    for some in torch.split(torch.arange(len(pixel)), CACHED):
        one, two, off = pixel[some], other[some], found[some[0] : some[-1] + 1]
        off.zero_()
        for mine, theirs in ((ahead, position), (position, behind)):
            for axis in range(2):
                apart = mine[one, None, :, axis] - theirs[two, :, None, axis]
                off.addcmul_(apart, apart)
        off.mul_(-1 / (4 * tolerance**2)).clamp_min_(-JUMP).exp_()
    return found


def fused(maps: Sequence[Labels], grid: PixelGrid, tolerance: float) -> Labels:
    """The parts of maps that are together the most probable, by the model of :func:`beliefs`.

    Beliefs in single pixels do not turn a whole area over. But two maps differ by whole areas, and
    a minimal cut chooses between them (fusion moves: Lempitsky, Rother, Roth and Blake 2010). It
    begins with the most probable map, and no choice makes that less probable.
    """
    pairs = _pairs(grid)
    best, *others = sorted(maps, key=lambda one: _price(one, pairs, tolerance))
    for other in others:
        better = _better(best, other, pairs, tolerance)
        best = Labels(
            torch.where(better, other.evidence, best.evidence),
            torch.where(better[:, None], other.position, best.position),
            torch.where(better[:, None, None], other.slope, best.slope),
        )
    return best


class _Pairs(NamedTuple):
    pixel: Tensor  # int64 [N]
    other: Tensor  # int64 [N]: its neighbour
    step: Tensor  # float [N, 2]: the way to it, x and y


def _pairs(grid: PixelGrid) -> _Pairs:
    near, steps = grid.neighbours(CROSS)[:, FORWARDS], rightwards(CROSS)[list(FORWARDS)]
    pixel, way = (near >= 0).nonzero(as_tuple=True)
    return _Pairs(pixel, near[pixel, way], steps[way])


def _jumps(one: Labels, two: Labels, pairs: _Pairs, tolerance: float) -> Tensor:
    """The price of each pair with the pixel in map ``one`` and its neighbour in ``two``: [N]."""
    pixel, other, step = pairs
    here, there = one.position[pixel], two.position[other]
    ahead = here + torch.einsum("nij,nj->ni", one.slope[pixel], step) - there
    behind = there - torch.einsum("nij,nj->ni", two.slope[other], step) - here
    off = ahead.square().sum(dim=1) + behind.square().sum(dim=1)
    return (off / (4 * tolerance**2)).clamp_max(JUMP)


def _price(one: Labels, pairs: _Pairs, tolerance: float) -> float:
    """The negative log probability of a map, up to a constant."""
    return float(_jumps(one, one, pairs, tolerance).sum() - one.evidence.sum())


def _better(one: Labels, two: Labels, pairs: _Pairs, tolerance: float) -> Tensor:
    """The pixels whose plane of ``two`` should replace that of ``one``, bool [P]."""
    stay, move = (_jumps(both, both, pairs, tolerance) for both in (one, two))
    left, right = (_jumps(*both, pairs, tolerance) for both in ((two, one), (one, two)))
    # A cut cannot make a border cheaper than its sides. Where it would be, its price is raised.
    lack = (stay + move - left - right).clamp_min(0) / 2
    left, right = left + lack, right + lack
    price = (one.evidence - two.evidence).double()
    price.index_add_(0, pairs.pixel, (left - stay).double())
    price.index_add_(0, pairs.other, (move - left).double())
    count = len(price)
    pixel = torch.arange(count)
    source, sink = torch.full_like(pixel, count), torch.full_like(pixel, count + 1)
    edges = [  # from, to, capacity
        (source, pixel, price.clamp_min(0)),
        (pixel, sink, (-price).clamp_min(0)),
        (pairs.pixel, pairs.other, (left + right - stay - move).clamp_min(0).double()),
    ]
    start, end, capacity = (torch.cat(part).numpy() for part in zip(*edges, strict=True))
    whole = np.rint(capacity * GRAIN).astype(np.int32)
    graph = csr_matrix((whole, (start, end)), shape=(count + 2, count + 2))
    rest = graph - maximum_flow(graph, count, count + 1).flow
    rest.data = np.maximum(rest.data, 0)
    rest.eliminate_zeros()
    moves = torch.ones(count + 2, dtype=torch.bool)
    moves[breadth_first_order(rest, count, return_predecessors=False).tolist()] = False
    return moves[:count]
