"""The evidence that a pixel shows a texel, by the model of plates.

Over the liveries of one camera, a pixel is in each channel a line in the colour of the texel that
it shows: ``pixel = falling * albedo + reflected``, in linear light. This is how a projector's pixel
is found from a camera's (structured light: Salvi et al. 2004; by patterns that were not designed,
"unstructured light": Couture, Martin and Roy 2011; spacetime stereo: Davis et al. 2003). There the
patterns are chosen, here they are the liveries that people have. So the number of patterns is
small, and the slope and the intercept must not fit whatever they like. They have a Gaussian prior,
in which the channels agree (light is nearly grey), and are integrated out. What remains is the
marginal likelihood of a pixel under a texel. It is comparable between texels, also those that
hardly vary, and it knows how many liveries there are.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

DEGREES = 6.0
"""Degrees of freedom of the noise: its variance is not known, and differs between pixels."""
FLATTEST = 0.05
"""Least standard deviation of the albedo by which a slope of light is known."""
CONTRAST = 0.13
"""Standard deviation over the liveries that a pixel in full light has."""
LEAST_CONTRAST = 0.01
"""The least share of it by which the noise of the table is reduced."""
SINGLE = 0.1
"""The least share for which floats of 32 bits are exact enough."""


@dataclass(frozen=True)
class LightPrior:
    """A Gaussian prior of a pixel's ``falling`` (3 channels) and ``reflected`` (3 channels)."""

    mean: Tensor  # float [6]
    covariance: Tensor  # float [6, 6]

    @classmethod
    def of_showrooms(cls) -> LightPrior:
        """The prior before any picture was seen: light of medium strength, nearly grey."""
        mean = torch.tensor([0.6] * 3 + [0.1] * 3)
        covariance = torch.zeros(6, 6)
        covariance[:3, :3] = 0.35**2 + 0.08**2 * torch.eye(3)
        covariance[3:, 3:] = 0.15**2 + 0.04**2 * torch.eye(3)
        return cls(mean, covariance)


class LineFit(NamedTuple):
    """The fit of lines to pixels. ``...`` is the shape of pixels, or of pixels and texels."""

    evidence: Tensor  # float [...]: log marginal likelihood, up to a constant of the pixel
    light: Tensor  # float [..., 6]: expected falling and reflected

    def rest(self, pixels: Tensor, texels: Tensor) -> Tensor:
        """What the lines leave of pixels [..., L, 3] that show texels [..., L, 3]."""
        light = self.light[..., None, :]
        rest: Tensor = pixels - light[..., :3] * texels - light[..., 3:]
        return rest


def fit_line(
    pixels: Tensor,  # float [..., L, 3], linear
    texels: Tensor,  # float [..., L, 3], linear
    weight: Tensor,  # float [..., L, 3] in [0, 1]: how far an observation counts
    noise: float,
    prior: LightPrior,
) -> LineFit:
    """Fits ``pixels`` by lines in ``texels``. Dimensions before the last two are broadcast.

    Args:
        noise: standard deviation that observations have at least, in linear light.
    """
    mean = prior.mean
    rest = pixels - mean[:3] * texels - mean[3:]
    weighted = weight * texels
    sums = [part.sum(dim=-2) for part in (weighted * texels, weighted, weight)]
    targets = torch.cat([(weighted * rest).sum(dim=-2), (weight * rest).sum(dim=-2)], dim=-1)
    squares = (weight * rest * rest).sum(dim=(-1, -2))
    normal = torch.zeros(*targets.shape, 6, dtype=pixels.dtype)
    for c in range(3):
        normal[..., c, c] = sums[0][..., c]
        normal[..., c, 3 + c] = normal[..., 3 + c, c] = sums[1][..., c]
        normal[..., 3 + c, 3 + c] = sums[2][..., c]
    normal = normal + noise**2 * torch.linalg.inv(prior.covariance)
    factor = torch.linalg.cholesky(normal)
    solved = torch.cholesky_solve(targets[..., None], factor)[..., 0]
    misfit = (squares - (targets * solved).sum(dim=-1)).clamp_min(0) / noise**2
    volume = (
        2 * torch.diagonal(factor, dim1=-2, dim2=-1).log().sum(dim=-1)
        - 12 * math.log(noise)
        + torch.logdet(prior.covariance)
    )
    observations = math.prod(pixels.shape[-2:])
    return LineFit(_student(misfit, volume, observations), solved + mean)


def evidence_table(
    pixels: Tensor,  # float [P, L, 3], linear
    texels: Tensor,  # float [T, L, 3], linear
    noise: float,
    prior: LightPrior,
) -> Tensor:
    """The evidence of every pixel for every texel, float [P, T], as in :class:`LineFit`.

    What a texel does not explain at the lowest level are edges of the paint above all, which grow
    with the contrast. So the noise is that of a pixel in full light, and is less for a dark one.

    Args:
        noise: standard deviation from the line of a pixel whose colours have CONTRAST.
    """
    contrast = pixels.std(dim=1).amax(dim=1) / CONTRAST
    power = contrast.clamp(LEAST_CONTRAST, 1).log2().round()
    table = pixels.new_empty(len(pixels), len(texels))
    for step in set(power.tolist()):
        share, some = 2.0**step, power == step
        kind = torch.float32 if share > SINGLE else torch.float64
        wide = LightPrior(prior.mean.to(kind), prior.covariance.to(kind))
        found = _table(pixels[some].to(kind), texels.to(kind), noise * share, wide)
        table[some] = found.to(table.dtype)
    return table


def _table(pixels: Tensor, texels: Tensor, noise: float, prior: LightPrior) -> Tensor:
    """As :func:`evidence_table`, with the same noise for all pixels.

    The marginal covariance of a pixel under a texel is the noise plus six directions. A Cholesky
    factor for each texel turns the six directions into unit ones, so that the table is the sum of
    six squared matrix products.
    """
    count, liveries, _ = texels.shape
    observations = 3 * liveries
    design = torch.zeros(count, liveries, 3, 6, dtype=texels.dtype)
    for c in range(3):
        design[:, :, c, c] = texels[:, :, c]
        design[:, :, c, 3 + c] = 1
    root = torch.linalg.cholesky(prior.covariance)
    scaled = design.view(count, observations, 6) @ root / noise
    factor = torch.linalg.cholesky(
        torch.eye(6, dtype=texels.dtype) + scaled.transpose(1, 2) @ scaled
    )
    units = torch.linalg.solve_triangular(factor, scaled.transpose(1, 2), upper=False)
    volume = 2 * torch.diagonal(factor, dim1=1, dim2=2).log().sum(dim=1)
    expected = (prior.mean[:3] * texels + prior.mean[3:]).reshape(count, observations)
    along_expected = torch.einsum("tkn,tn->tk", units, expected)
    seen = pixels.reshape(len(pixels), observations)
    misfit = seen.square().sum(dim=1)[:, None] - 2 * seen @ expected.T
    misfit += expected.square().sum(dim=1)
    for k in range(6):
        misfit -= (seen @ units[:, k].T - along_expected[:, k]).square()
    return _student(misfit.clamp_min(0) / noise**2, volume, observations)


def without_line(change: Tensor, texels: Tensor, weight: Tensor, noise: float) -> Tensor:
    """The part of changes of pixels that no line in their texels explains: [P, L, 3, K].

    Args:
        change: float [P, L, 3, K].
        texels: float [P, L, 3].
        weight: float [P, L, 3].
        noise: as in :func:`fit_line`.
    """
    total = weight.sum(dim=1, keepdim=True).clamp_min(1e-6)
    texels = texels - (weight * texels).sum(dim=1, keepdim=True) / total
    wide = weight[..., None]
    change = change - (wide * change).sum(dim=1, keepdim=True) / total[..., None]
    spread = (weight * texels.square()).sum(dim=1, keepdim=True) + (noise / FLATTEST) ** 2
    along = (wide * texels[..., None] * change).sum(dim=1, keepdim=True) / spread[..., None]
    return change - along * texels[..., None]


def _student(misfit: Tensor, volume: Tensor, observations: int) -> Tensor:
    """Log density of a multivariate Student distribution, without its constant."""
    return -0.5 * (DEGREES + observations) * torch.log1p(misfit / DEGREES) - 0.5 * volume
