"""How sure an estimate is that it lies within two 256ths of the atlas of the truth."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from uvtex.imaging.map_estimation.edge_pixels.divide import Divided
from uvtex.imaging.map_estimation.levels import Solved
from uvtex.imaging.map_estimation.pixel_grid import WINDOW, rightwards, widely

WITHIN = 2.0
"""The error that a confidence is about, in a 256th of the atlas."""
APART = 6.0
"""Distance from which another candidate is another hypothesis."""


@dataclass(frozen=True)
class Support:
    """What speaks for the position of each of P pixels."""

    lead: Tensor  # float [P]: log evidence over the best other hypothesis
    wide_lead: Tensor  # float [P]: its mean over a wide window, each in [-2, 10]
    wide_odds: Tensor  # float [P]: mean log odds of the place against all texels, likewise
    deviation: Tensor  # float [P]: log of the standard deviation
    agreement: Tensor  # float [P] in [0, 1]: share of the window that lies on the pixel's plane
    around: Tensor  # float [P] in [0, 1]: share of the window that changes
    misfit: Tensor  # float [P]: log of the distance from the line over the camera's noise
    around_misfit: Tensor  # float [P]: mean of `misfit` over the window
    reach: Tensor  # float [P]: log of the way that the map goes in a pixel
    divided: Tensor  # float [P]: 1 where the pixel shows two places, or one beside no paint
    liveries: int

    @classmethod
    def none(cls) -> Support:
        """That of no pixels."""
        none = torch.zeros(0)
        return cls(none, none, none, none, none, none, none, none, none, none, 0)

    def features(self) -> Tensor:
        """The features of the logistic regression, float [P, F].

        A map that has collapsed goes less far in a pixel than the rest of its camera. At the edge
        of a panel, the error is a part of that way.
        """
        if not len(self.reach):
            return torch.zeros(0, len(WEIGHTS))
        columns = [
            self.lead.clamp(-5, 10) / 5,
            self.wide_lead / 5,
            self.wide_odds.clamp(-20, 20) / 10,
            self.wide_odds.clamp(-20, 0) / 10,
            self.deviation.clamp(-4, 4),
            self.agreement,
            self.around,
            self.misfit.clamp(-2, 4),
            self.misfit.clamp(0, 4),
            self.around_misfit.clamp(-2, 4),
            (self.reach - self.reach.median()).clamp(-2, 0),
            (1 - self.agreement) * self.reach.clamp(-2, 3),
            self.divided,
            torch.full_like(self.lead, math.log(self.liveries / 10)),
            torch.ones_like(self.lead),
        ]
        return torch.stack(columns, dim=1)


def support(
    parts: Divided,
    solved: Solved,
    misfit: Tensor,  # float [P]: as in Support
    odds: Tensor,  # float [P]: log odds of the place against all texels
    liveries: int,
) -> Support:
    """Gathers the support of each pixel."""
    position, slope, grid = parts.position, solved.slope, solved.grid
    elsewhere = (solved.others.position - position[:, None]).norm(dim=-1) >= APART
    best_other = solved.other_evidence.masked_fill(~elsewhere, -1e6).amax(dim=1)
    lead = parts.evidence - best_other
    window = grid.neighbours(WINDOW)
    plane = position[:, None] + torch.einsum("pij,nj->pni", slope, rightwards(WINDOW))
    there = window >= 0
    miss = (plane - position[window.clamp_min(0)]).norm(dim=-1)
    count = there.sum(dim=1)
    agreeing = ((miss < WITHIN) & there).sum(dim=1)
    misfit_around = (misfit[window.clamp_min(0)] * there).sum(dim=1) / count.clamp_min(1)
    return Support(
        lead,
        widely(lead.clamp(-2, 10), grid),
        widely(odds.clamp(-20, 20), grid),
        solved.spread.deviation().clamp_min(1e-3).log(),
        agreeing / count.clamp_min(1),
        there.float().mean(dim=1),
        misfit,
        torch.where(count > 0, misfit_around, misfit),
        slope.flatten(1).norm(dim=1).clamp_min(1e-2).log(),
        (parts.gain > 0).float(),
        liveries,
    )


WEIGHTS = torch.tensor(
    [0.42, 1.24, 0.83, 0.13, -0.72, 2.7, 0.76, -1.0, 1.27, -0.06, 0.61, 0.45, 0.06, -0.33, -5.68]
)
"""Weights of the features, fitted by ``python -m benchmarks.maps calibrate``.

They are of rendered sets of three cars at 64 and 256 pixels, each size with half the weight, with
3 to 16 liveries. For each car, they were tested by weights without it (docs/results.md).
"""


def confidence(told: Support) -> Tensor:
    """The probability of each pixel, float [P]."""
    return torch.sigmoid(told.features() @ WEIGHTS)
