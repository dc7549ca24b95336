"""Layers that several networks share."""

from __future__ import annotations

import math

from torch import nn


def group_norm(channels: int) -> nn.GroupNorm:
    """A group normalisation of ``channels``.

    Its statistics come from one image alone, so the result is the same at any batch size. It keeps
    no running averages: one average would have to fit both views and reprojections.
    """
    return nn.GroupNorm(math.gcd(channels, 4), channels)


def block(inputs: int, outputs: int, dilation: int = 1) -> nn.Sequential:
    """A 3 x 3 convolution that keeps the size, a group normalisation, and a ReLU."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, padding=dilation, dilation=dilation),
        group_norm(outputs),
        nn.ReLU(),
    )


def scaled(channels: int, width: float) -> int:
    """``channels`` times ``width``, at least 4."""
    return max(4, round(channels * width))
