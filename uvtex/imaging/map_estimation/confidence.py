"""How sure an estimate is that it lies within two 256ths of the atlas of the truth."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from uvtex.imaging.map_estimation.pixel_grid import WINDOW, PixelGrid, rightwards

WITHIN = 2.0
"""The error that a confidence is about, in a 256th of the atlas."""
APART = 6.0
"""Distance from which another candidate is another hypothesis."""


@dataclass(frozen=True)
class Support:
    """What speaks for the position of each of P pixels."""

    belief: Tensor  # float [P]: log odds of the candidates within WITHIN
    lead: Tensor  # float [P]: log evidence over the best other hypothesis
    deviation: Tensor  # float [P]: log of the standard deviation
    agreement: Tensor  # float [P] in [0, 1]: share of the window that lies on the pixel's plane
    around: Tensor  # float [P] in [0, 1]: share of the window that changes
    unexplained: Tensor  # float [P]: log of the share of variance that the line leaves
    around_unexplained: Tensor  # float [P]: mean of `unexplained` over the window
    reach: Tensor  # float [P]: log of the way that the map goes in a pixel
    liveries: int

    @classmethod
    def none(cls) -> Support:
        """That of no pixels."""
        none = torch.zeros(0)
        return cls(none, none, none, none, none, none, none, none, 0)

    def features(self) -> Tensor:
        """The features of the logistic regression, float [P, F]."""
        columns = [
            self.belief.clamp(-8, 8) / 4,
            self.lead.clamp(-20, 60).div(20),
            self.deviation.clamp(-4, 4),
            self.agreement,
            self.around,
            self.unexplained.clamp(-12, 0) / 4,
            (self.unexplained + 6).clamp(0, 6) / 4,
            self.around_unexplained.clamp(-12, 0) / 4,
            self.reach.clamp(-2, 3),
            torch.full_like(self.belief, self.liveries).log(),
            self.lead.clamp(-5, 10) / 5,
            torch.ones_like(self.belief),
        ]
        return torch.stack(columns, dim=1)


def support(
    position: Tensor,
    slope: Tensor,
    deviation: Tensor,
    evidence: Tensor,
    unexplained: Tensor,
    rivals: Tensor,  # float [P, K, 2]
    belief: Tensor,  # float [P, K], log
    others: Tensor,  # float [P, M, 2]: places that lie APART from each other
    other_evidence: Tensor,  # float [P, M]
    grid: PixelGrid,
    liveries: int,
) -> Support:
    """Gathers the support of each pixel."""
    off = (rivals - position[:, None]).norm(dim=-1)
    near = torch.logsumexp(belief.masked_fill(off > WITHIN, -30), dim=1)
    far = torch.logsumexp(belief.masked_fill(off <= WITHIN, -30), dim=1)
    elsewhere = (others - position[:, None]).norm(dim=-1) >= APART
    best_other = other_evidence.masked_fill(~elsewhere, -1e6).amax(dim=1)
    window = grid.neighbours(WINDOW)
    plane = position[:, None] + torch.einsum("pij,nj->pni", slope, rightwards(WINDOW))
    there = window >= 0
    miss = (plane - position[window.clamp_min(0)]).norm(dim=-1)
    agreeing = ((miss < WITHIN) & there).sum(dim=1)
    left = unexplained.clamp_min(1e-6).log()
    left_around = (left[window.clamp_min(0)] * there).sum(dim=1) / there.sum(dim=1).clamp_min(1)
    return Support(
        near - far,
        evidence - best_other,
        deviation.clamp_min(1e-3).log(),
        agreeing / there.sum(dim=1).clamp_min(1),
        there.float().mean(dim=1),
        left,
        torch.where(there.any(dim=1), left_around, left),
        slope.flatten(1).norm(dim=1).clamp_min(1e-2).log(),
        liveries,
    )


WEIGHTS = torch.tensor(
    [-0.024, -0.029, -1.296, 2.327, 0.186, -0.186, -1.296, -0.226, 1.018, 0.984, 0.472, -7.062]
)
"""Weights of the features, fitted by ``python -m benchmarks.maps calibrate``.

They are of rendered sets of three cars at 64 and 256 pixels with 4 to 16 procedural liveries, and
of two cars with two or three of their real liveries, which are flat in large parts
(docs/results.md).
"""


def confidence(told: Support) -> Tensor:
    """The probability of each pixel, float [P]."""
    return torch.sigmoid(told.features() @ WEIGHTS)
