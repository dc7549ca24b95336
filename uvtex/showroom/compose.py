"""Dressing a plate in a livery: a pure function of tensors, on whatever device they are.

Every sub-pixel of the UV map samples the texture; their linear mean is the pixel's albedo, and
the view is ``falling * albedo + reflected``. Off the mask ``falling`` is 0, so that the same
formula gives the rest of the picture.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def compose(
    textures: Tensor,  # [B, 3, T, T] sRGB in [0, 1], row 0 is v = 1
    uv: Tensor,  # [h * k, w * k, 2] in [0, 1], u right and v up, NaN where no paint is seen
    falling: Tensor,  # [h, w, 3] linear radiance that white paint adds
    reflected: Tensor,  # [h, w, 3] linear radiance that black paint leaves
) -> Tensor:
    """Views [B, 3, h, w] in sRGB, in [0, 1], of one camera in each of ``textures``.

    Raises:
        ValueError: the UV map's size is no multiple of the plate's.
    """
    albedo = sample(linear_from_srgb(textures), uv, tuple(falling.shape[:2]))
    radiance = falling.permute(2, 0, 1) * albedo + reflected.permute(2, 0, 1)
    return srgb_from_linear(radiance)


def sample(textures: Tensor, uv: Tensor, size: tuple[int, ...]) -> Tensor:
    """Mean of ``textures`` [B, C, T, T] over each pixel's painted sub-pixels, [B, C, h, w].

    Zero where a pixel has none. Texels are blended bilinearly, and the border's are repeated.
    """
    height, width = size
    if uv.shape[0] % height or uv.shape[1] % width:
        raise ValueError(f"UV map {tuple(uv.shape[:2])} must be a multiple of the plate {size}")
    factor = (uv.shape[0] // height, uv.shape[1] // width)
    painted = ~torch.isnan(uv[..., 0])
    # grid_sample counts from -1 to 1, downwards; NaN would spread, so it samples the middle.
    at = torch.where(painted[..., None], uv, 0.5) * 2 - 1
    at = at * at.new_tensor([1.0, -1.0])
    batch = textures.shape[0]
    values = F.grid_sample(
        textures,
        at.to(textures.dtype).expand(batch, *at.shape),
        mode="bilinear",
        padding_mode="border",
        align_corners=False,
    )
    weight = painted.to(textures.dtype)[None, None]
    share = F.avg_pool2d(weight, factor)
    return F.avg_pool2d(values * weight, factor) / share.clamp_min(1e-6)


def linear_from_srgb(value: Tensor) -> Tensor:
    """IEC 61966-2-1: encoded [0, 1] to linear [0, 1]."""
    return torch.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)


def srgb_from_linear(value: Tensor) -> Tensor:
    """IEC 61966-2-1: linear to encoded; what is brighter than white is clipped."""
    value = value.clamp(0, 1)
    bright = 1.055 * value.clamp_min(0.0031308) ** (1 / 2.4) - 0.055
    return torch.where(value <= 0.0031308, value * 12.92, bright)
