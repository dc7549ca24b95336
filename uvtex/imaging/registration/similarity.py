"""Similarities of the plane: how a picture lies off another one of the same scene.

A move is float64 [4]: right, down, log of the scale, and turn in radians, from right to down. It
says that a picture shows at ``(right, down) + scale * turned(p)`` what the other one shows at p.
Points are told from the middle, in half longer sides of the picture.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from scipy import ndimage
from torch import Tensor


def joined(outer: Tensor, inner: Tensor) -> Tensor:
    """The move [..., 4] that does first what ``inner`` does, and then ``outer``."""
    return torch.cat([placed(inner[..., :2], outer), outer[..., 2:] + inner[..., 2:]], dim=-1)


def inverse(move: Tensor) -> Tensor:
    """The move [..., 4] that undoes ``move``."""
    back = torch.cat([torch.zeros_like(move[..., :2]), -move[..., 2:]], dim=-1)
    return torch.cat([-_turned(move[..., :2], back), -move[..., 2:]], dim=-1)


def placed(points: Tensor, move: Tensor) -> Tensor:
    """Where a picture that lies off by moves [..., 4] shows what lies at points [..., 2]."""
    return _turned(points, move) + move[..., :2]


def _turned(points: Tensor, move: Tensor) -> Tensor:
    """Points [..., 2], scaled and turned as by moves [..., 4]."""
    scale, (x, y) = move[..., 2].exp(), points.unbind(dim=-1)
    cos, sin = scale * move[..., 3].cos(), scale * move[..., 3].sin()
    return torch.stack([cos * x - sin * y, sin * x + cos * y], dim=-1)


def frame(size: Sequence[int]) -> Tensor:
    """The pixels' middles of a picture of a size (h, w): float64 [h, w, 2]."""
    height, width = size
    x = (torch.arange(width, dtype=torch.float64) + 0.5 - width / 2) / (max(size) / 2)
    y = (torch.arange(height, dtype=torch.float64) + 0.5 - height / 2) / (max(size) / 2)
    return torch.stack(torch.meshgrid(x, y, indexing="xy"), dim=-1)


def displacement(move: Tensor) -> Tensor:
    """The largest displacement [...] of a point at most half a longer side from the middle."""
    grown = torch.complex(move[..., 2], move[..., 3]).exp() - 1
    total: Tensor = move[..., :2].norm(dim=-1) + grown.abs()
    return total


def brought_back(pictures: Tensor, moves: Tensor) -> Tensor:
    """Pictures float [B, C, h, w], brought back from where moves [B, 4] say they lie: bilinear.

    Beyond their borders they have the border's colours.
    """
    size = pictures.shape[-2:]
    at = placed(frame(size), moves[:, None, None])
    at = at * (max(size) / at.new_tensor([size[1], size[0]]))
    return F.grid_sample(
        pictures, at.to(pictures.dtype), padding_mode="border", align_corners=False
    )


def picture_back(picture: np.ndarray, move: Tensor) -> np.ndarray:
    """The same of one picture uint8 [h, w, 3] of any size, by cubic splines.

    The bicubic kernels of Pillow and torch do not keep a ramp: they move parts of a picture by up
    to 0.09 and 0.05 pixels.
    """
    middle = (np.array(picture.shape[:2]) - 1) / 2
    right, down, grows, turn = move.tolist()
    cos, sin = math.exp(grows) * math.cos(turn), math.exp(grows) * math.sin(turn)
    rows = np.array([[cos, sin], [-sin, cos]])  # of (down, right)
    start = middle - rows @ middle + np.array([down, right]) * max(picture.shape[:2]) / 2
    planes = [
        ndimage.affine_transform(plane, rows, start, output=np.float32, mode="nearest")
        for plane in np.moveaxis(picture, 2, 0)
    ]
    back: np.ndarray = np.stack(planes, axis=2).round().clip(0, 255).astype(np.uint8)
    return back
