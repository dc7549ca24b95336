"""The two networks of the original: a U-Net and a convolutional renderer.

The renderer keeps the resolution of its input.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from uvtex.models.base import Predictor, Renderer
from uvtex.models.camera_estimate import CameraCode, CameraEstimate
from uvtex.models.layers import scaled


class UNet(Predictor):
    """The predictor: a U-Net with skip connections.

    It has four 4x4 convolutions of stride 2, four transposed convolutions, and a tanh. Input and
    output are [B, 3, S, S] in [-1, 1]. S is a multiple of 16. The receptive field of the bottleneck
    is 46 pixels of the input.
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
        # Every up layer but the first also gets the output of the down layer of its resolution.
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
        """``tuple(self(view) for view in views)``, computed in one batch.

        All ``views`` have the same batch size. BatchNorm normalises each of ``views`` separately.
        It updates its running statistics with each of them in turn.
        """
        return self._run(torch.cat(views), len(views)).chunk(len(views))

    def _run(self, x: Tensor, passes: int) -> Tensor:
        skips: list[Tensor] = []
        for down in self.down:
            x = _per_pass(down, x, passes)
            skips.append(x)
        x = skips.pop()
        for number, up in enumerate(self.up):
            x = _per_pass(up, x if number == 0 else torch.cat([x, skips.pop()], dim=1), passes)
        return x


def _per_pass(layers: nn.Module, x: Tensor, passes: int) -> Tensor:
    """Applies ``layers`` in turn to ``passes`` equal batches concatenated in ``x``.

    In training, BatchNorm layers see each batch separately.
    """
    for layer in layers.children():
        if passes > 1 and layer.training and isinstance(layer, nn.BatchNorm2d):
            x = torch.cat([layer(part) for part in x.chunk(passes)])
        else:
            x = layer(x)
    return x


class ConvRenderer(Renderer):
    """The renderer: six convolutions with ReLU between them, and a tanh.

    The channels are 3-64 (7x7) -64 (5x5) -128-128-64-3 (3x3). Input and output are [B, 3, S, S] in
    [-1, 1]. The renderer ignores the camera estimate.
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

    def forward(self, texture: Tensor, camera: CameraEstimate | CameraCode | None = None) -> Tensor:
        out: Tensor = self.layers(texture)
        return out
