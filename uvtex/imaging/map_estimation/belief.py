"""Agreement of neighbouring pixels: belief propagation over candidates."""

from __future__ import annotations

import torch
from torch import Tensor

from uvtex.imaging.map_estimation.pixel_grid import CROSS, OPPOSITE, PixelGrid, rightwards

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
    pairs = [
        _agreement(position, slope, near[:, d], step, tolerance)
        for d, step in enumerate(rightwards(CROSS))
    ]
    messages = torch.zeros(len(CROSS), *evidence.shape)
    for _ in range(ROUNDS):
        belief = evidence + messages.sum(dim=0)
        sent = torch.zeros_like(messages)
        for d, pair in enumerate(pairs):
            sender = near[:, d].clamp_min(0)
            known = belief[sender] - messages[OPPOSITE[d]][sender]
            message = (torch.softmax(known, dim=1)[:, None] @ pair)[:, 0]
            message = (message / message.sum(dim=1, keepdim=True)).log()
            sent[d] = message.masked_fill(near[:, d, None] < 0, 0)
        messages = DAMPING * messages + (1 - DAMPING) * sent
    return torch.log_softmax(evidence + messages.sum(dim=0), dim=1)


def _agreement(
    position: Tensor, slope: Tensor, near: Tensor, step: Tensor, tolerance: float
) -> Tensor:
    """Potentials of the neighbours' candidates with a pixel's own: float [P, K, K]."""
    other = near.clamp_min(0)
    onwards = (position + slope @ step)[:, None] - position[other][:, :, None]
    back = position[:, None] - (position - slope @ step)[other][:, :, None]
    off = (onwards.square().sum(dim=-1) + back.square().sum(dim=-1)) / 2
    return (-(off / (2 * tolerance**2)).clamp_max(JUMP)).exp()
