"""Compose a view from a plate and a texture: pure functions of tensors on any device.

Every sub-pixel of the UV map samples the texture. The mean of the samples in linear light is the
pixel's albedo. The view is ``falling * albedo + reflected``. Outside the mask ``falling`` is 0, and
the same formula gives the rest of the picture.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def compose(
    textures: Tensor,  # [B, 3, T, T] sRGB in [0, 1], row 0 is v = 1
    uv: Tensor,  # [h * k, w * k, 2] in [0, 1], u right and v up, NaN without paint
    falling: Tensor,  # [h, w, 3] linear radiance that white paint adds
    reflected: Tensor,  # [h, w, 3] linear radiance with black paint
) -> Tensor:
    """Views [B, 3, h, w], sRGB in [0, 1], of the car with each of ``textures``.

    One camera serves all textures. If the camera's three tensors have a leading dimension B, each
    texture has its own camera.

    Raises:
        ValueError: the UV map's size is not a multiple of the plate's size.
    """
    return light(linear_from_srgb(textures), uv, falling, reflected)


def light(paint: Tensor, uv: Tensor, falling: Tensor, reflected: Tensor) -> Tensor:
    """Like :func:`compose`, but ``paint`` holds linear colours."""
    albedo = sample(paint, uv, tuple(falling.shape[-3:-1]))
    radiance = falling.movedim(-1, -3) * albedo + reflected.movedim(-1, -3)
    return srgb_from_linear(radiance)


def sample(textures: Tensor, uv: Tensor, size: tuple[int, ...]) -> Tensor:
    """Mean of ``textures`` [B, C, T, T] over each pixel's painted sub-pixels: [B, C, h, w].

    ``uv`` is one UV map for all textures, or [B, ...] with one UV map per texture. The mean is
    zero where a pixel has no painted sub-pixel. Sampling is bilinear, and the border texels are
    repeated outside the texture.

    Raises:
        ValueError: the UV map's size is not a multiple of ``size``.
    """
    height, width = size
    rows, columns = uv.shape[-3:-1]
    if rows % height or columns % width:
        raise ValueError(f"UV map {(rows, columns)} must be a multiple of the plate {size}")
    factor = (rows // height, columns // width)
    painted = ~torch.isnan(uv[..., 0])
    # grid_sample counts from -1 to 1, and its y points down. NaN would spread to other pixels,
    # so a sub-pixel without paint samples the middle of the texture.
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
    """Convert sRGB in [0, 1] to linear light in [0, 1], by IEC 61966-2-1."""
    return torch.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)


def srgb_from_linear(value: Tensor) -> Tensor:
    """Convert linear light to sRGB, by IEC 61966-2-1. Values outside [0, 1] are clipped."""
    value = value.clamp(0, 1)
    bright = 1.055 * value.clamp_min(0.0031308) ** (1 / 2.4) - 0.055
    return torch.where(value <= 0.0031308, value * 12.92, bright)
