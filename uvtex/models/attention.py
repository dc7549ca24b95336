"""Networks that learn correspondence by attention, from pairs alone.

These networks need no UV maps, no mesh and no camera. The predictor uses cross-attention, as
Texformer does (Xu and Loy 2021): the queries are places of the atlas, and the keys are places of
the picture. The attention weights give a flow: the weighted mean of the places. The flow samples
colours at full size. Colours are not blended out of tokens.

The renderer attends to places of the texture in the same way. The camera alone decides which texel
a pixel shows, so the renderer's keys are places and not colours. The renderer knows the camera by a
code of a few numbers, which the predictor infers. The code has too few numbers to carry a livery
past the texture.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from uvtex.models.base import Predictor, Renderer
from uvtex.models.camera_estimate import CameraCode, CameraEstimate
from uvtex.models.layers import block, scaled
from uvtex.models.refiner import TextureRefiner, bounded

CODE = 6
"""Length of the camera code."""
TOKENS = 32
"""Largest number of tokens along a side."""
SPREAD = 0.01
"""The flow's variance, in its own units, that is added to every view's before views are fused."""
PLACES = 8
"""Channels of the position embedding: learnt in the predictor, from the code in the renderer."""


def _centres(side: int) -> Tensor:
    """Centres of a grid's cells, x then y in [-1, 1]: [side * side, 2]."""
    at = (torch.arange(side) + 0.5) / side * 2 - 1
    y, x = torch.meshgrid(at, at, indexing="ij")
    return torch.stack([x, y], dim=-1).reshape(-1, 2)


def _waves(side: int, channels: int) -> Tensor:
    """A sinusoidal position embedding, [side * side, channels].

    Near places have similar embeddings.
    """
    octaves = -(-channels // 4)
    rates = torch.pi * 2.0 ** (torch.arange(octaves) * (4.0 / octaves) - 1)
    phases = (_centres(side)[:, :, None] * rates).flatten(1)
    return torch.cat([phases.sin(), phases.cos()], dim=1)[:, :channels]


class CrossAttentionFlow(nn.Module):
    """Cross-attention from the places of one grid to the places of another.

    Returns the flow [B, 2, n, n] in [-1, 1], and the variance of the attended places [B, 1, n, n],
    in the flow's units. Both are float32, under autocast too. In bf16 the flow would be wrong by
    pixels. The variance is a small difference of two squares: in bf16 it would be rounding error,
    and could be less than 0.
    """

    centres: Tensor

    def __init__(self, side: int, channels: int) -> None:
        super().__init__()
        self.side, self.channels = side, channels
        self.query = nn.Parameter(_waves(side, channels))
        self.sharpness = nn.Parameter(torch.zeros(()))
        self.register_buffer("centres", _centres(side), persistent=False)

    def forward(self, keys: Tensor, change: Tensor) -> tuple[Tensor, Tensor]:
        """The flow and the variance.

        Args:
            keys: [B, n * n, C], a key for each place of the other grid.
            change: [B, C], added to every query.
        """
        with torch.autocast(keys.device.type, enabled=False):
            query = self.query + change.float()[:, None]
            scores = query @ keys.float().transpose(1, 2)
            weight = (scores * self.sharpness.exp() / self.channels**0.5).softmax(dim=2)
            found = weight @ self.centres
            variance = weight @ self.centres.square() - found.square()
            spread = variance.sum(dim=2, keepdim=True).clamp_min(0)
        both = torch.cat([found, spread], dim=2).transpose(1, 2)
        both = both.reshape(-1, 3, self.side, self.side)
        return both[:, :2], both[:, 2:]


class AttentionPredictor(Predictor):
    """View to texture by learnt correspondence: [B, 3, S, S] to [B, 3, S, S]."""

    def __init__(self, size: int, width: float = 1.0, depth: int = 1) -> None:
        super().__init__()
        self.side = min(size // 4, TOKENS)
        c = scaled(64, width)
        self.features = nn.Sequential(
            block(3, c // 2), nn.AvgPool2d(2), block(c // 2, c), nn.AvgPool2d(2),
            block(c, c), block(c, c, dilation=2), block(c, c, dilation=4),
        )  # fmt: skip
        self.place = nn.Parameter(_waves(self.side, c))
        self.code = nn.Linear(c, CODE)
        self.turn = nn.Linear(c, c)
        self.asking = CrossAttentionFlow(self.side, c)
        self.home = nn.Parameter(torch.zeros(1, PLACES, size, size))
        self.mend = TextureRefiner(7 + PLACES, width, depth)

    def clip_gradients(self) -> None:
        self.mend.clip_gradients()

    def predict(self, view: Tensor) -> tuple[Tensor, CameraCode]:
        sampled, spread, code = self._sampled(view)
        return self._mended(sampled, spread), code

    def fuse(self, views: Tensor, counted: Tensor | None = None) -> tuple[Tensor, CameraCode]:
        """See :meth:`Predictor.fuse`. Views count the more, the surer their flow is."""
        sampled, spread, code = self._sampled(views.flatten(0, 1))
        count = views.shape[1]
        sampled, spread = (x.reshape(-1, count, *x.shape[1:]) for x in (sampled, spread))
        sure = 1 / (spread + SPREAD)
        if counted is not None:
            sure = sure * counted[:, :, None, None, None]
        share = sure / sure.sum(dim=1, keepdim=True)
        return self._mended((sampled * share).sum(dim=1), (spread * share).sum(dim=1)), code

    def _sampled(self, view: Tensor) -> tuple[Tensor, Tensor, CameraCode]:
        """What each view shows of each texel, the flow's variance there, and the camera code."""
        features = F.adaptive_avg_pool2d(self.features(view), self.side)
        tokens = features.flatten(2).transpose(1, 2)
        about = tokens.mean(dim=1)
        flow, spread = self.asking(tokens + self.place, self.turn(about))
        size = list(view.shape[2:])
        flow, spread = (
            F.interpolate(x, size, mode="bilinear", align_corners=False) for x in (flow, spread)
        )
        sampled = F.grid_sample(
            view.float(), flow.permute(0, 2, 3, 1), padding_mode="border", align_corners=False
        )
        return sampled, spread, CameraCode(torch.tanh(self.code(about)).float())

    def _mended(self, sampled: Tensor, spread: Tensor) -> Tensor:
        mean = sampled.mean(dim=(2, 3), keepdim=True)
        home = self.home.expand(sampled.shape[0], -1, -1, -1)
        known = torch.cat([sampled, spread, mean.expand_as(sampled), home], 1)
        return bounded(sampled + self.mend(known).float())


class AttentionRenderer(Renderer):
    """Texture to view by learnt correspondence, given the camera code."""

    def __init__(self, size: int, width: float = 1.0) -> None:
        super().__init__()
        self.side = min(size // 4, TOKENS)
        c = scaled(64, width)
        self.place = nn.Parameter(_waves(self.side, c))
        self.turn = nn.Sequential(nn.Linear(CODE, c), nn.ReLU(), nn.Linear(c, c * self.side**2))
        self.asking = CrossAttentionFlow(self.side, c)
        self.light = nn.Sequential(block(6 + PLACES, c), block(c, c), nn.Conv2d(c, 6, 3, padding=1))
        self.frame = nn.Linear(CODE, PLACES * self.side**2)

    def forward(self, texture: Tensor, camera: CameraEstimate | CameraCode | None = None) -> Tensor:
        if not isinstance(camera, CameraCode):
            raise ValueError("the renderer needs a camera code")
        batch, size = texture.shape[0], list(texture.shape[2:])
        code = camera.code.repeat(batch // camera.code.shape[0], 1)
        # The keys depend on the camera and not on the paint: the flow cannot encode a livery.
        keys = self.place + self.turn(code).view(batch, self.side**2, -1)
        flow, _ = self.asking(keys, keys.new_zeros(batch, keys.shape[2]))
        flow = F.interpolate(flow, size, mode="bilinear", align_corners=False)
        sampled = F.grid_sample(
            texture.float(), flow.permute(0, 2, 3, 1), padding_mode="border", align_corners=False
        )
        frame = self.frame(code).view(batch, PLACES, self.side, self.side)
        frame = F.interpolate(frame, size, mode="bilinear", align_corners=False)
        lit = self.light(torch.cat([sampled, flow, sampled.mean(1, keepdim=True), frame], 1))
        gain, added = lit.float().chunk(2, dim=1)
        return bounded((sampled + 1) * 2 * torch.sigmoid(gain) + added - 1)
