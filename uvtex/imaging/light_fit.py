"""The light of cameras whose plates are not known, from pictures of several liveries.

A pixel is ``falling * albedo + reflected`` in linear light, and with a UV map its albedo is known:
the two lights are the straight line through what the pixel showed of the training liveries.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from uvtex.imaging.compose import linear_from_srgb

STIFFNESS = 0.02
"""How much variance of the albedo it takes to believe a pixel's own line: the square of a small
difference of paint. Where liveries were all alike, light is taken to fall and none reflected."""


def fit_lights(
    samples: Iterable[tuple[Tensor, Tensor, Tensor]], cameras: int, size: int
) -> tuple[Tensor, Tensor]:
    """``falling`` and ``reflected`` [K, 3, S, S] by least squares, neither below 0.

    Args:
        samples: batches of (camera int64 [B], albedo [B, 3, S, S] linear, view [B, 3, S, S] sRGB
            in [0, 1]).
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
    x, y, xx, xy = (sums / number[:, None]).unbind(dim=1)
    variance, slope = (xx - x * x).clamp_min(0), xy - x * y
    guess = y / x.clamp_min(0.02)
    falling = ((slope + STIFFNESS**2 * guess) / (variance + STIFFNESS**2)).clamp_min(0)
    return falling.float(), (y - falling * x).clamp_min(0).float()
