"""Fit the light of cameras with unknown plates to pictures of several liveries.

A pixel is ``falling * albedo + reflected`` in linear light. The UV map and the livery give the
albedo of the pixel. Over the training liveries, the pixel's radiance is a linear function of its
albedo. ``falling`` is the slope of that function and ``reflected`` is its intercept.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from uvtex.imaging.compose import linear_from_srgb

STIFFNESS = 0.02
"""Standard deviation of the albedo above which a pixel's own slope outweighs the prior.

The prior says that all light is ``falling`` and that ``reflected`` is 0. The prior decides where
all liveries have the same paint.
"""
FEWEST = 8
"""Fewest views without saturation to which the light of a pixel is fitted; else all views count."""


def fit_lights(
    samples: Iterable[tuple[Tensor, Tensor, Tensor]],
    cameras: int,
    saturated: float | None = None,
) -> tuple[Tensor, Tensor]:
    """Fit ``falling`` and ``reflected``, [K, 3, h, w] each, by least squares. Neither is below 0.

    Args:
        samples: batches of (camera int64 [B], albedo [B, 3, h, w] linear, view [B, 3, h, w] sRGB
            in [0, 1]).
        saturated: a brighter value of a view may stand for more light, and is left out. None: all
            values count.

    Raises:
        ValueError: there are no samples.
    """
    sums: Tensor | None = None
    for camera, albedo, view in samples:
        light = linear_from_srgb(view)
        one = torch.ones_like(light)
        parts = torch.stack([one, albedo, light, albedo * albedo, albedo * light], dim=1).double()
        both = [parts] if saturated is None else [parts, parts * (view <= saturated)[:, None]]
        if sums is None:
            sums = parts.new_zeros(cameras, len(both), *parts.shape[1:])
        sums.index_add_(0, camera, torch.stack(both, dim=1))
    if sums is None:
        raise ValueError("no samples")
    x, y, falling = _line(sums[:, 0], None)
    if saturated is not None:
        kept = torch.where(sums[:, 1, :1] < FEWEST, sums[:, 0], sums[:, 1])
        x, y, falling = _line(kept, falling)
    return falling.float(), (y - falling * x).clamp_min(0).float()


def _line(sums: Tensor, prior: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
    """Mean albedo, mean radiance, and the slope of the line through them, [K, 3, h, w] each.

    Args:
        sums: [K, 5, 3, h, w], of 1, the albedo, the radiance, the squared albedo and their product.
        prior: the slope where all albedos are the same. None: all light is ``falling``.
    """
    x, y, xx, xy = (sums[:, 1:] / sums[:, :1].clamp_min(1)).unbind(dim=1)
    variance, slope = (xx - x * x).clamp_min(0), xy - x * y
    guess = y / x.clamp_min(0.02) if prior is None else prior
    return x, y, ((slope + STIFFNESS**2 * guess) / (variance + STIFFNESS**2)).clamp_min(0)
