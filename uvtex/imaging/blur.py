"""Gaussian blur of pictures."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def blurred(pictures: Tensor, width: float) -> Tensor:
    """Pictures [B, C, h, w], blurred by a Gaussian of a standard deviation of ``width`` pixels."""
    reach = round(4 * width)
    kernel = torch.exp(-0.5 * (torch.arange(-reach, reach + 1) / width).square())
    kernel = (kernel / kernel.sum()).to(pictures)
    flat = pictures.flatten(0, 1)[:, None]
    flat = F.pad(flat, (reach, reach, reach, reach), mode="replicate")
    flat = F.conv2d(F.conv2d(flat, kernel[None, None, None]), kernel[None, None, :, None])
    return flat.reshape(pictures.shape)
