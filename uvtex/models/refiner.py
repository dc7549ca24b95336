"""The refiner: a residual network in texture space that corrects the sampled texture.

The refiner has no normalisation layers. Normalisation over a picture would lose exact colours and
exact edges, and these are the refiner's purpose. Super-resolution networks leave normalisation out
for the same reason (EDSR, Lim et al. 2017). Leaving it out gains 0.02 of SSIM over the visible
texels (docs/log.md, 2026-11-24).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from uvtex.models.layers import scaled

CHANNELS = (32, 64, 96)
"""Channels at full, half and quarter size."""
LEAK = 0.1
"""Negative slope of the leaky ReLU.

With slope 0, a unit that is off would get no gradient and would stay off.
"""

SHARE = 0.2
"""Residual scaling: the factor of a block's output before it is added to the block's input.

With many blocks, a factor of 1 would make training unstable (Szegedy et al. 2017). Lim et al. 2017
use 0.1.
"""
LARGEST = 0.1
"""Largest norm of the refiner's gradients in a step. The usual norm is about this large."""


class Residual(nn.Module):
    """A residual block: ``x`` plus two convolutions of ``x``.

    An untrained block returns ``x``, so that a network of any depth trains from the start (Fixup,
    Zhang et al. 2019).
    """

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
    """Features of a texture [B, C, S, S] to the correction of the texture [B, 3, S, S].

    S is a multiple of 4. The correction of an untrained refiner is 0.

    Args:
        width: scales the channels.
        depth: factor on the number of residual blocks.
    """

    def __init__(self, inputs: int, width: float, depth: int = 1) -> None:
        super().__init__()
        c = [scaled(n, width) for n in CHANNELS]
        two, three = (1, 1) * depth, (1, 1, 1) * depth
        self.enter = stage(inputs, c[0], *two)
        self.down1 = stage(c[0], c[1], *two)
        self.down2 = stage(c[1], c[2], *(1, 2, 4) * depth)
        self.up1 = stage(c[2] + c[1], c[1], *two)
        self.up0 = stage(c[1] + c[0], c[0], *three)
        self.leave = nn.Conv2d(c[0], 3, 3, padding=1)
        for parameter in self.leave.parameters():
            nn.init.zeros_(parameter)

    def clip_gradients(self) -> None:
        """Scales gradients of a larger norm down to LARGEST (Pascanu et al. 2013).

        Some batches have a gradient a hundred times the usual. Without normalisation, nothing else
        limits its effect.
        """
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
    """``x`` clamped to [-1, 1], with a straight-through gradient (Bengio et al. 2013).

    A plain clamp has no gradient outside the range. After one large step out of the range, the
    texture would be all white, and the network could not recover.
    """
    return x + (x.clamp(-1, 1) - x).detach()
