"""What a predictor finds out about the camera of a view, and a renderer is told."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor


class Sight(NamedTuple):
    """How the car is seen in each view of a batch.

    A view is a picture of one of the set's cameras, moved in the frame by ``pose``: a point ``p``
    of the camera's picture lies at ``pose @ (p, 1)`` in the view, in grid_sample's coordinates.
    Without a pose it is that camera's picture as it is. A predictor that knows no cameras tells a
    code of its own as the scores, and no camera.
    """

    scores: Tensor  # [B, K] logits over the set's cameras, or a code
    camera: Tensor | None  # int64 [B], the best of the set's cameras
    pose: Tensor | None  # [B, 2, 3]
    flow: Tensor  # [B, 2, S, S] in [-1, 1]: where each texel is seen in the view

    def half(self, number: int) -> Sight:
        """The first (0) or the second (1) half of a batch of two halves."""
        camera, pose = (None if x is None else x.chunk(2)[number] for x in (self.camera, self.pose))
        return Sight(self.scores.chunk(2)[number], camera, pose, self.flow.chunk(2)[number])


def moved(points: Tensor, pose: Tensor) -> Tensor:
    """``points`` [B, 2, S, S], x then y, by the affine maps ``pose`` [B, 2, 3]."""
    x, y = points[:, :1], points[:, 1:]
    a, b, c = (pose[:, :, i].reshape(-1, 2, 1, 1) for i in range(3))
    return a * x + b * y + c


def inverse(pose: Tensor) -> Tensor:
    """The affine maps [B, 2, 3] that undo ``pose``."""
    a, b, c, d = pose[:, 0, 0], pose[:, 0, 1], pose[:, 1, 0], pose[:, 1, 1]
    scale = 1 / (a * d - b * c)
    linear = torch.stack([d, -b, -c, a], dim=1).reshape(-1, 2, 2) * scale.reshape(-1, 1, 1)
    return torch.cat([linear, -linear @ pose[:, :, 2:]], dim=2)


def warped(images: Tensor, pose: Tensor) -> Tensor:
    """Pictures [B, C, S, S] whose point ``p`` shows what ``images`` show at ``pose @ (p, 1)``."""
    grid = F.affine_grid(pose, list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, padding_mode="border", align_corners=False)
