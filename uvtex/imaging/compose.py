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

    With a leading dimension B on each of the camera's three tensors, every texture has a camera
    of its own.

    Raises:
        ValueError: the UV map's size is no multiple of the plate's.
    """
    return light(linear_from_srgb(textures), uv, falling, reflected)


def light(paint: Tensor, uv: Tensor, falling: Tensor, reflected: Tensor) -> Tensor:
    """:func:`compose` of textures that are linear already."""
    albedo = sample(paint, uv, tuple(falling.shape[-3:-1]))
    radiance = falling.movedim(-1, -3) * albedo + reflected.movedim(-1, -3)
    return srgb_from_linear(radiance)


def sample(textures: Tensor, uv: Tensor, size: tuple[int, ...]) -> Tensor:
    """Mean of ``textures`` [B, C, T, T] over each pixel's painted sub-pixels, [B, C, h, w].

    ``uv`` is one for all, or [B, ...]. Zero where a pixel has none. Texels are
    blended bilinearly, and the border's are repeated.
    """
    height, width = size
    rows, columns = uv.shape[-3:-1]
    if rows % height or columns % width:
        raise ValueError(f"UV map {(rows, columns)} must be a multiple of the plate {size}")
    factor = (rows // height, columns // width)
    painted = ~torch.isnan(uv[..., 0])
    # grid_sample counts from -1 to 1, downwards; NaN would spread, so it samples the middle.
    at = torch.where(painted[..., None], uv, 0.5) * 2 - 1
    at = torch.stack([at[..., 0], -at[..., 1]], dim=-1)
    batch = textures.shape[0]
    values = F.grid_sample(
        textures,
        at.to(textures.dtype).expand(batch, *at.shape[-3:]),
        mode="bilinear",
        padding_mode="border",
        align_corners=False,
    )
    weight = painted.to(textures.dtype).reshape(-1, 1, rows, columns)
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
