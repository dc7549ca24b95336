"""What several networks are built of."""

from __future__ import annotations

import math

from torch import nn


def group_norm(channels: int) -> nn.GroupNorm:
    """Statistics of one image alone: no running averages that would have to fit views and
    reprojections at once, and the same answer at any batch size."""
    return nn.GroupNorm(math.gcd(channels, 4), channels)


def block(inputs: int, outputs: int, dilation: int = 1) -> nn.Sequential:
    """A 3 x 3 convolution that keeps the size, normalised, and ReLU."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, padding=dilation, dilation=dilation),
        group_norm(outputs),
        nn.ReLU(),
    )


def scaled(channels: int, width: float) -> int:
    """``channels`` times ``width``, at least 4."""
    return max(4, round(channels * width))
