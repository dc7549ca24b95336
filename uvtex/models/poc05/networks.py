"""The original's two networks: a skip U-Net and a same-resolution convolutional renderer."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from uvtex.models.base import Predictor, Renderer
from uvtex.models.camera_estimate import CameraEstimate
from uvtex.models.layers import scaled


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
                nn.ReLU(inplace=True),
            )
            for i in range(4)
        )
        # Every step up but the first also sees the step down of its own resolution.
        self.up = nn.ModuleList(
            nn.Sequential(
                nn.ConvTranspose2d(c[i] * (1 if i == 4 else 2), c[i - 1], 4, stride=2, padding=1),
                *([nn.BatchNorm2d(c[i - 1]), nn.ReLU(inplace=True)] if i > 1 else [nn.Tanh()]),
            )
            for i in range(4, 0, -1)
        )

    def predict(self, view: Tensor) -> tuple[Tensor, None]:
        return self._run(view, passes=1), None

    def predict_separately(self, *views: Tensor) -> tuple[Tensor, ...]:
        """``tuple(self(view) for view in views)``, the views being equally many, in one batch.

        What is normalised over a batch is normalised over each of ``views`` apart, and the running
        statistics hear of them one after the other.
        """
        return self._run(torch.cat(views), len(views)).chunk(len(views))

    def _run(self, x: Tensor, passes: int) -> Tensor:
        skips: list[Tensor] = []
        for down in self.down:
            x = _apart(down, x, passes)
            skips.append(x)
        x = skips.pop()
        for number, up in enumerate(self.up):
            x = _apart(up, x if number == 0 else torch.cat([x, skips.pop()], dim=1), passes)
        return x


def _apart(layers: nn.Module, x: Tensor, passes: int) -> Tensor:
    """``layers`` one after the other over ``predict_separately`` batches in one."""
    for layer in layers.children():
        if passes > 1 and layer.training and isinstance(layer, nn.BatchNorm2d):
            x = torch.cat([layer(part) for part in x.chunk(passes)])
        else:
            x = layer(x)
    return x


class ConvRenderer(Renderer):
    """Renderer: 3-64 (7x7) -64 (5x5) -128-128-64-3 (3x3), ReLU, tanh; it is told no camera.

    [B, 3, S, S] in [-1, 1] -> [B, 3, S, S] in [-1, 1].
    """

    def __init__(self, width: float = 1.0) -> None:
        super().__init__()
        sizes = (7, 5, 3, 3, 3, 3)
        channels = [3, *(scaled(n, width) for n in (64, 64, 128, 128, 64)), 3]
        layers: list[nn.Module] = []
        for i, size in enumerate(sizes[:-1]):
            convolution = nn.Conv2d(channels[i], channels[i + 1], size, padding=size // 2)
            layers += [convolution, nn.ReLU(inplace=True)]
        layers += [nn.Conv2d(channels[-2], 3, sizes[-1], padding=1), nn.Tanh()]
        self.layers = nn.Sequential(*layers)

    def forward(self, texture: Tensor, sight: CameraEstimate | None = None) -> Tensor:
        out: Tensor = self.layers(texture)
        return out
