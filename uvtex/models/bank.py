"""A predictor that looks up where each texel is seen, instead of moving pixels by convolution.

The set's plates say exactly where every texel of the atlas is seen by each camera: its *flow*.
This network holds them as a bank, tells from the picture which of them applies, samples the
picture into the atlas by it, and mends what it got in texture space: takes the light off and
fills what was not seen. Choosing among known poses before sampling is the idea of category-
specific reconstruction (CMR, Kanazawa et al. 2018) cut down to a fixed mesh and known cameras.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from uvtex.models.poc05 import scaled


def _norm(channels: int) -> nn.GroupNorm:
    """Statistics of one image alone: no running averages that would have to fit views and
    reprojections at once, and the same answer at any batch size."""
    return nn.GroupNorm(math.gcd(channels, 4), channels)


class PoseClassifier(nn.Module):
    """[B, 3, S, S] -> logits [B, K] over the bank's cameras."""

    def __init__(self, cameras: int, width: float) -> None:
        super().__init__()
        c = [3, *(scaled(n, width) for n in (64, 128, 128))]
        self.features = nn.Sequential(
            *(
                layer
                for i in range(3)
                for layer in (
                    nn.Conv2d(c[i], c[i + 1], 4, stride=2, padding=1),
                    _norm(c[i + 1]),
                    nn.ReLU(),
                )
            )
        )
        self.head = nn.Linear(c[3] * 16, cameras)

    def forward(self, view: Tensor) -> Tensor:
        # Poses are told apart by the silhouette; 32 pixels show it at any picture size.
        small = F.interpolate(view.float(), size=(32, 32), mode="bilinear", antialias=True)
        logits: Tensor = self.head(self.features(small).flatten(1))
        return logits


class Mender(nn.Module):
    """Texture-space network: [B, C, S, S] -> gain, paint, and how far to trust the sample."""

    def __init__(self, inputs: int, width: float) -> None:
        super().__init__()
        c = [scaled(n, width) for n in (48, 96, 96)]
        self.enter = self._block(inputs, c[0])
        self.down1 = self._block(c[0], c[1])
        self.down2 = self._block(c[1], c[2])
        self.wide = self._block(c[2], c[2], dilation=3)
        self.up1 = self._block(c[2] + c[1], c[1])
        self.up0 = self._block(c[1] + c[0], c[0])
        self.leave = nn.Conv2d(c[0], 7, 3, padding=1)

    @staticmethod
    def _block(inputs: int, outputs: int, dilation: int = 1) -> nn.Sequential:
        return nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, padding=dilation, dilation=dilation),
            _norm(outputs),
            nn.ReLU(),
        )

    def forward(self, x: Tensor) -> Tensor:
        x0 = self.enter(x)
        x1 = self.down1(F.avg_pool2d(x0, 2))
        x2 = self.wide(self.down2(F.avg_pool2d(x1, 2)))
        x1 = self.up1(torch.cat([F.interpolate(x2, scale_factor=2.0), x1], dim=1))
        x0 = self.up0(torch.cat([F.interpolate(x1, scale_factor=2.0), x0], dim=1))
        out: Tensor = self.leave(x0)
        return out


class BankPredictor(nn.Module):
    """Predictor by correspondence over a bank of known flows.

    Args:
        flows: [K, 2, S, S], where texel (row, column) is seen in camera k's view, x then y, in
            grid_sample's [-1, 1] (``align_corners=False``).
        seen: [K, 1, S, S] in [0, 1], whether it is.
        width: scales the channels.
    """

    flows: Tensor
    seen: Tensor

    def __init__(self, flows: Tensor, seen: Tensor, width: float = 1.0) -> None:
        super().__init__()
        self.register_buffer("flows", flows)
        self.register_buffer("seen", seen)
        self.pose = PoseClassifier(len(flows), width)
        # The atlas is the same for every livery: the mender may learn what lies where.
        self.place = nn.Parameter(torch.zeros(1, 8, *flows.shape[2:]))
        self.mend = Mender(3 + 1 + 3 + 8, width)

    def correspond(self, view: Tensor) -> tuple[Tensor, Tensor]:
        """Where each texel is seen: flow [B, 2, S, S] and the chance that it is [B, 1, S, S]."""
        chance = self.pose(view).float().softmax(dim=1)
        flow = torch.einsum("bk,kchw->bchw", chance, self.flows)
        return flow, torch.einsum("bk,kchw->bchw", chance, self.seen)

    def forward(self, view: Tensor) -> Tensor:
        return self.predict(view)[0]

    def predict(self, view: Tensor) -> tuple[Tensor, Tensor]:
        """The texture [B, 3, S, S] in [-1, 1], and the flow that it was sampled by."""
        flow, seen = self.correspond(view)
        sampled = F.grid_sample(
            view.float(), flow.permute(0, 2, 3, 1), padding_mode="border", align_corners=False
        )
        area = seen.sum(dim=(2, 3), keepdim=True).clamp_min(1.0)
        mean = (sampled * seen).sum(dim=(2, 3), keepdim=True) / area
        place = self.place.expand(view.shape[0], -1, -1, -1)
        mended = self.mend(torch.cat([sampled * seen, seen, mean.expand_as(sampled), place], 1))
        gain, paint, trust = mended.split([3, 3, 1], dim=1)
        lit = (sampled + 1) * (1 + torch.tanh(gain)) - 1
        painted = torch.tanh(paint + torch.atanh(mean.clamp(-0.95, 0.95)))
        keep = seen * torch.sigmoid(trust + 2)
        return (keep * lit + (1 - keep) * painted).clamp(-1, 1), flow
