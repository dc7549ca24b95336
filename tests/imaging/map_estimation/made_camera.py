"""A still camera made in code: two panels with a jump between them, and a light that varies."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from uvtex.imaging.compose import compose, linear_from_srgb

SIDE = 28


class MadeCamera(NamedTuple):
    """What a camera shows, and the truth."""

    views: Tensor  # uint8 [L, 3, SIDE, SIDE]
    paints: Tensor  # uint8 [L, 3, T, T]
    uv: Tensor  # float [SIDE, SIDE, 2], NaN without paint

    def pairs(self) -> tuple[Tensor, Tensor]:
        """The views, and the textures in linear light."""
        return self.views, linear_from_srgb(self.paints / 255)


def true_map(side: int = SIDE) -> Tensor:
    """[side, side, 2]: a left panel and a turned right one, with backdrop around them."""
    y, x = (np.mgrid[:side, :side] + 0.5) / side
    left = np.stack([0.1 + 0.7 * x, 0.95 - 0.8 * y], axis=2)
    right = np.stack([0.45 + 0.5 * y, 0.15 + 0.7 * x - 0.1 * y], axis=2)
    uv = np.where((x < 0.5)[..., None], left, right)
    uv[(x < 0.12) | (x > 0.88) | (y < 0.12) | (y > 0.88)] = np.nan
    return torch.from_numpy(uv).float()


def twin_map(side: int = SIDE) -> Tensor:
    """[side, side, 2]: two panels that show the same texels, one of them mirrored."""
    y, x = (np.mgrid[:side, :side] + 0.5) / side
    uv = np.stack([0.1 + 0.7 * np.minimum(x, 1 - x), 0.95 - 0.8 * y], axis=2)
    uv[(x < 0.12) | (x > 0.88) | (y < 0.12) | (y > 0.88)] = np.nan
    return torch.from_numpy(uv).float()


def paint(generator: np.random.Generator, side: int) -> np.ndarray:
    """uint8 [side, side, 3]: stripes of several directions and some blocks."""
    y, x = np.mgrid[:side, :side] / side
    out = np.empty((side, side, 3), np.uint8)
    out[:] = generator.integers(20, 236, 3)
    for _ in range(4):
        angle, where, wide = generator.uniform(0, np.pi), *generator.uniform(0.05, 0.3, 2)
        along = np.cos(angle) * x + np.sin(angle) * y
        out[(along - where) % 1 < wide] = generator.integers(0, 256, 3)
    for _ in range(6):
        row, column = generator.integers(0, side * 3 // 4, 2)
        out[row : row + side // 5, column : column + side // 4] = generator.integers(0, 256, 3)
    return out


def made_camera(liveries: int, seed: int = 0, texels: int = 32, side: int = SIDE) -> MadeCamera:
    """``liveries`` views of a camera and their textures."""
    generator = np.random.default_rng(seed)
    paints = np.stack([paint(generator, texels) for _ in range(liveries)])
    return photographed(torch.from_numpy(paints).permute(0, 3, 1, 2), side)


def photographed(
    textures: Tensor, side: int = SIDE, shape: Callable[[int], Tensor] = true_map
) -> MadeCamera:
    """The camera's views of ``textures``, uint8 [L, 3, T, T].

    Args:
        shape: the true map, [side, side, 2], by its side.
    """
    uv = shape(side)
    fine = shape(3 * side)
    fine[torch.isnan(uv[..., 0]).repeat_interleave(3, 0).repeat_interleave(3, 1)] = torch.nan
    y = torch.linspace(0.4, 1, side)[:, None, None]
    painted = torch.isfinite(uv[..., :1])
    falling = torch.where(painted, (y * torch.tensor([0.8, 0.8, 0.75])).expand(side, side, 3), 0.0)
    backdrop = torch.linspace(0.2, 0.6, side)[None, :, None].expand(side, side, 3)
    reflected = torch.where(painted, 0.03, backdrop)
    views = compose(textures.float() / 255, fine, falling, reflected)
    return MadeCamera((views * 255).round().to(torch.uint8), textures, uv)
