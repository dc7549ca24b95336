"""The original's two networks: a skip U-Net and a same-resolution convolutional renderer."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from uvtex.models.base import Predictor, Renderer
from uvtex.models.sight import Sight


def scaled(channels: int, width: float) -> int:
    """``channels`` times ``width``, at least 4."""
    return max(4, round(channels * width))


class UNet(Predictor):
    """Predictor: four 4x4 stride-2 convolutions, four transposed ones back, skips, tanh.

    [B, 3, S, S] in [-1, 1] -> [B, 3, S, S] in [-1, 1]; S a multiple of 16. The bottleneck sees
    46 pixels of the input.
    """

    normalises_over_batch = True

    def __init__(self, width: float = 1.0) -> None:
        super().__init__()
        c = [3, *(scaled(n, width) for n in (64, 128, 256, 512))]
        self.down = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(c[i], c[i + 1], 4, stride=2, padding=1),
                *([nn.BatchNorm2d(c[i + 1])] if i else []),
                nn.ReLU(),
            )
            for i in range(4)
        )
        # Every step up but the first also sees the step down of its own resolution.
        self.up = nn.ModuleList(
            nn.Sequential(
                nn.ConvTranspose2d(c[i] * (1 if i == 4 else 2), c[i - 1], 4, stride=2, padding=1),
                *([nn.BatchNorm2d(c[i - 1]), nn.ReLU()] if i > 1 else [nn.Tanh()]),
            )
            for i in range(4, 0, -1)
        )

    def predict(self, view: Tensor) -> tuple[Tensor, None]:
        x: Tensor = view
        skips: list[Tensor] = []
        for down in self.down:
            x = down(x)
            skips.append(x)
        x = skips.pop()
        for number, up in enumerate(self.up):
            x = up(x if number == 0 else torch.cat([x, skips.pop()], dim=1))
        return x, None


class ConvRenderer(Renderer):
    """Renderer: 3-64 (7x7) -64 (5x5) -128-128-64-3 (3x3), ReLU, tanh; it is told no camera.

    [B, 3, S, S] in [-1, 1] -> [B, 3, S, S] in [-1, 1].
    """

    def __init__(self, width: float = 1.0) -> None:
        super().__init__()
        sizes = (7, 5, 3, 3, 3, 3)
        channels = [3, *(scaled(n, width) for n in (64, 64, 128, 128, 64)), 3]
        layers: list[nn.Module] = []
        for i, size in enumerate(sizes):
            layers += [nn.Conv2d(channels[i], channels[i + 1], size, padding=size // 2), nn.ReLU()]
        layers[-1] = nn.Tanh()
        self.layers = nn.Sequential(*layers)

    def forward(self, texture: Tensor, sight: Sight | None = None) -> Tensor:
        out: Tensor = self.layers(texture)
        return out
