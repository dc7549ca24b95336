"""Affine maps of pictures, in the coordinates of grid_sample."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def transform(points: Tensor, pose: Tensor) -> Tensor:
    """Apply the affine maps ``pose`` [B, 2, 3] to ``points`` [B, 2, S, S], x then y."""
    x, y = points[:, :1], points[:, 1:]
    a, b, c = (pose[:, :, i].reshape(-1, 2, 1, 1) for i in range(3))
    return a * x + b * y + c


def inverse(pose: Tensor) -> Tensor:
    """The inverse maps [B, 2, 3] of the affine maps ``pose`` [B, 2, 3]."""
    a, b, c, d = pose[:, 0, 0], pose[:, 0, 1], pose[:, 1, 0], pose[:, 1, 1]
    scale = 1 / (a * d - b * c)
    linear = torch.stack([d, -b, -c, a], dim=1).reshape(-1, 2, 2) * scale.reshape(-1, 1, 1)
    return torch.cat([linear, -linear @ pose[:, :, 2:]], dim=2)


def warp(images: Tensor, pose: Tensor) -> Tensor:
    """Warp pictures [B, C, S, S] by the affine maps ``pose`` [B, 2, 3].

    Point ``p`` of the result has the colour of ``images`` at ``pose @ (p, 1)``.
    """
    grid = F.affine_grid(pose, list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, padding_mode="border", align_corners=False)
