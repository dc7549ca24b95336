"""Two planes in one pixel, and how they are refined."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from uvtex.imaging.map_estimation.footprints import ATLAS, SAMPLES, Texels, affine_colours
from uvtex.imaging.map_estimation.light_line import LightPrior, fit_line, without_line
from uvtex.imaging.map_estimation.refine import Observations

ROUNDS = 4
DEVIATIONS = torch.tensor([2.0, 2, 4, 4, 4, 4, 2, 2, 1, 1, 1, 1])
"""Standard deviations of the position and the slope of the first plane, and of the second."""
LONGEST = torch.tensor([4.0, 4, 12, 12, 12, 12] * 2)
"""The longest step of a round."""


class Layers(NamedTuple):
    """Two planes of each of M pixels."""

    first: Tensor  # float [M, 9, 2]
    second: Tensor  # float [M, 9, 2]
    shares: Tensor  # float [M, 2, 9]: of each sample of each plane in the colour

    def moved(self, by: Tensor) -> Layers:
        """With the planes' positions and slopes changed, float [M, 12]."""
        planes = []
        for plane, change in zip(self[:2], torch.split(by, 6, dim=1), strict=True):
            tilt = torch.einsum("mij,kj->mki", change[:, 2:].view(-1, 2, 2), SAMPLES)
            planes.append((plane + change[:, None, :2] + tilt).clamp(0, ATLAS))
        return Layers(planes[0], planes[1], self.shares)

    def colours(self, texels: Texels) -> tuple[Tensor, Tensor]:
        """The parts of both planes in the colour, and their derivatives, each [M, 7, L, 3]."""
        one, two = self.shares.unbind(dim=1)
        first = affine_colours(texels, self.first, one)
        second, there = torch.zeros_like(first), two.any(dim=1)
        second[there] = affine_colours(texels, self.second[there], two[there])
        return first, second

    def samples(self) -> Tensor:
        """The place of each sample, float [M, 9, 2]; NaN where it shows no paint."""
        here = (self.shares > 0)[..., None]
        second = self.second.masked_fill(~here[:, 1], torch.nan)
        return torch.where(here[:, 0], self.first, second)


def refined(
    layers: Layers, seen: Observations, noise: float, prior: LightPrior
) -> tuple[Tensor, Tensor]:
    """The best change of each pixel's planes, float [M, 12], and its evidence, float [M].

    The light is projected out of each round of Gauss-Newton, as in :func:`refine`.
    """
    pixels, weight, texels = seen
    change = torch.zeros(len(pixels), len(DEVIATIONS))
    kept, best = change, torch.full((len(pixels),), -torch.inf)
    precision = DEVIATIONS**-2
    for turn in range(ROUNDS + 1):
        now = layers.moved(change)
        one, two = now.colours(texels)
        shown = one[:, 0] + two[:, 0]
        fit = fit_line(pixels, shown, weight, noise, prior)
        evidence = fit.evidence - (precision * change.square()).sum(dim=1) / 2
        better = evidence > best
        best = torch.where(better, evidence, best)
        kept = torch.where(better[:, None], change, kept)
        if turn == ROUNDS:
            break
        rest = fit.rest(pixels, shown)
        variance = (weight * rest.square()).sum(dim=(1, 2)) + 6 * noise**2
        variance = (variance / (pixels[0].numel() + 6))[:, None, None]
        slopes = torch.cat([one[:, 1:], two[:, 1:]], dim=1).permute(0, 2, 3, 1)
        slopes = without_line(fit.light[:, None, :3, None] * slopes, shown, weight, noise)
        scaled = (weight / variance)[..., None] * slopes
        normal = torch.einsum("plci,plcj->pij", scaled, slopes) + torch.diag(precision)
        target = torch.einsum("plci,plc->pi", scaled, rest) - precision * change
        step = torch.linalg.solve(normal, target)
        change = change + step / (step / LONGEST).abs().amax(dim=1, keepdim=True).clamp_min(1)
    return kept, best
