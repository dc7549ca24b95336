"""The network in texture space that mends what was sampled: residual, and without normalisation.

Normalising over a picture costs what this network is for: exact colours, and how they meet. The
super-resolution literature leaves it out for the same reason (Lim et al. 2017, EDSR); here it is
worth 0.02 of SSIM over the visible texels (docs/log.md, 2026-11-24).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from uvtex.models.layers import scaled

CHANNELS = (32, 64, 96)
"""At full, half and quarter size."""
LEAK = 0.1
"""What a unit that is off lets through: one that lets nothing through never comes on again."""

SHARE = 0.2
"""Of a block's own output that is added to what it was given: where there are many, all of it would
make training unstable (Szegedy et al. 2017; Lim et al. 2017 take 0.1)."""
LARGEST = 0.1
"""Norm of all its gradients that a step goes by, at most; the usual one is of that size."""


class Residual(nn.Module):
    """``x`` and two convolutions of it; at first ``x`` alone, so that any depth trains from the
    start (Zhang et al. 2019, Fixup)."""

    def __init__(self, channels: int, dilation: int = 1) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=dilation, dilation=dilation)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)
        for parameter in self.second.parameters():
            nn.init.zeros_(parameter)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = x + SHARE * self.second(F.leaky_relu(self.first(x), LEAK))
        return out


def stage(inputs: int, outputs: int, *dilations: int) -> nn.Sequential:
    """A convolution to ``outputs`` channels, and a :class:`Residual` for each of ``dilations``."""
    enter = nn.Conv2d(inputs, outputs, 3, padding=1)
    return nn.Sequential(enter, *(Residual(outputs, dilation) for dilation in dilations))


class TextureRefiner(nn.Module):
    """What is known of a texture [B, C, S, S] -> what to add to it [B, 3, S, S]; S a multiple of 4.

    At first nothing is added.
    """

    def __init__(self, inputs: int, width: float) -> None:
        super().__init__()
        c = [scaled(n, width) for n in CHANNELS]
        self.enter = stage(inputs, c[0], 1, 1)
        self.down1 = stage(c[0], c[1], 1, 1)
        self.down2 = stage(c[1], c[2], 1, 2, 4)
        self.up1 = stage(c[2] + c[1], c[1], 1, 1)
        self.up0 = stage(c[1] + c[0], c[0], 1, 1, 1)
        self.leave = nn.Conv2d(c[0], 3, 3, padding=1)
        for parameter in self.leave.parameters():
            nn.init.zeros_(parameter)

    def clip_gradients(self) -> None:
        """Scales larger gradients down to LARGEST (Pascanu et al. 2013). Nothing else holds a
        network without normalisation where a batch's gradient is a hundred times the usual."""
        nn.utils.clip_grad_norm_(self.parameters(), LARGEST)

    def forward(self, x: Tensor) -> Tensor:
        x0 = self.enter(x)
        x1 = self.down1(F.avg_pool2d(x0, 2))
        x2 = self.down2(F.avg_pool2d(x1, 2))
        x1 = self.up1(torch.cat([F.interpolate(x2, scale_factor=2.0), x1], dim=1))
        x0 = self.up0(torch.cat([F.interpolate(x1, scale_factor=2.0), x0], dim=1))
        out: Tensor = self.leave(x0)
        return out


def bounded(x: Tensor) -> Tensor:
    """``x`` within [-1, 1]; its gradient is as if it had not been cut (Bengio et al. 2013).

    A cut lets no gradient past: a network that a large step throws out of bounds, where all is
    white, would never come back.
    """
    return x + (x.clamp(-1, 1) - x).detach()
