"""Agreement of neighbouring pixels: belief propagation over candidates."""

from __future__ import annotations

import torch
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
