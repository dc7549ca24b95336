"""Fit the light of cameras with unknown plates to pictures of several liveries.

A pixel is ``falling * albedo + reflected`` in linear light. The UV map and the livery give the
albedo of the pixel. Over the training liveries, the pixel's radiance is a linear function of its
albedo. ``falling`` is the slope of that function and ``reflected`` is its intercept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import Tensor

from uvtex.imaging.compose import linear_from_srgb

STIFFNESS = 0.02
"""Standard deviation of the albedo above which a pixel's own slope outweighs the prior.

The prior says that all light is ``falling`` and that ``reflected`` is 0. The prior decides where
all liveries have the same paint.
"""


def fit_lights(
    samples: Iterable[tuple[Tensor, Tensor, Tensor]],
    cameras: int,
    size: int,
    smooth: Callable[[Tensor], Tensor] | None = None,
) -> tuple[Tensor, Tensor]:
    """Fit ``falling`` and ``reflected``, [K, 3, S, S] each, by least squares. Neither is below 0.

    Args:
        samples: batches of (camera int64 [B], albedo [B, 3, S, S] linear, view [B, 3, S, S] sRGB
            in [0, 1]).
        smooth: gives the means of neighbouring pixels for those of each pixel: of the albedo, the
            radiance, the squared albedo and their product, [K, 4, 3, S, S].

    Raises:
        ValueError: there are no samples.
    """
    sums: Tensor | None = None
    count: Tensor | None = None
    for camera, albedo, view in samples:
        light = linear_from_srgb(view)
        parts = torch.stack([albedo, light, albedo * albedo, albedo * light], dim=1).double()
        if sums is None or count is None:
            sums = parts.new_zeros(cameras, 4, 3, size, size)
            count = parts.new_zeros(cameras)
        sums.index_add_(0, camera, parts)
        count.index_add_(0, camera, torch.ones_like(camera, dtype=torch.float64))
    if sums is None or count is None:
        raise ValueError("no samples")
    number = count.clamp_min(1).view(-1, 1, 1, 1)
    means = sums / number[:, None]
    x, y, xx, xy = (means if smooth is None else smooth(means)).unbind(dim=1)
    variance, slope = (xx - x * x).clamp_min(0), xy - x * y
    guess = y / x.clamp_min(0.02)
    falling = ((slope + STIFFNESS**2 * guess) / (variance + STIFFNESS**2)).clamp_min(0)
    return falling.float(), (y - falling * x).clamp_min(0).float()
