"""Liveries in other colours: a batch's textures, and its views as the car would then look.

What a view shows of its paint is told from the light that falls on it and the light that it
reflects without; so the view of the recoloured car is known exactly, pixel by pixel, without its
texture: in linear light all that is done to the paint commutes with the mean over a pixel. What no
livery paints keeps its colours: its part of a pixel is set aside first.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor

from uvtex.data.batch import Batch
from uvtex.data.views import Plates
from uvtex.showroom.compose import linear_from_srgb, sample, srgb_from_linear

DARKEST = 0.5
"""Least gain of a channel, in linear light."""
LEAST = 1e-3
"""Light on a white wall below which a pixel shows no paint."""


class Recolouring(NamedTuple):
    """New red, green and blue are old ones in another order, each darkened."""

    order: Tensor  # int64 [B, 3]: the old channel of each new one
    gain: Tensor  # float32 [B, 3, 1, 1] in [DARKEST, 1]

    def __call__(self, linear: Tensor) -> Tensor:
        """Of paint [B, 3, S, S] in linear light."""
        return self.reordered(linear) * self.gain

    def reordered(self, images: Tensor) -> Tensor:
        """``images`` [B, 3, S, S], their channels in order."""
        return images.gather(1, self.order[:, :, None, None].expand_as(images))


class Kept(NamedTuple):
    """What no livery paints, linear light; zero where liveries paint."""

    texture: Tensor  # float32 [1, 3, S, S]
    views: Tensor  # float32 [K, 3, S, S] its part of what each camera's pixels see of the atlas


def kept(fixed: Tensor, plates: Plates) -> Kept:
    """Of ``fixed`` [4, S, S], see :class:`uvtex.data.bank.Bank`, and as the cameras see it."""
    texture = (linear_from_srgb((fixed[:3] + 1) / 2) * fixed[3:])[None]
    size = (plates.size, plates.size)
    return Kept(texture, torch.cat([sample(texture, uv, size) for uv in plates.uv]))


def recoloured(batch: Batch, plates: Plates, stays: Kept, share: float, key: str) -> Batch:
    """``batch`` with about ``share`` of its liveries in other colours, in both their views.

    Which, and how, is a function of ``key``, the same on every device. What is no paint stays. The
    batch's cameras are numbered as ``plates``.

    Raises:
        ValueError: the batch does not say which cameras took its views.
    """
    pair = batch.pair
    if batch.camera_a is None or batch.camera_b is None:
        raise ValueError("the batch does not say which cameras took its views")
    change = draw(len(pair.a), share, key, pair.a.device)
    paint = linear_from_srgb((pair.texture + 1) / 2) - stays.texture
    texture = srgb_from_linear(stays.texture + change(paint)) * 2 - 1
    a = _view(pair.a, plates, stays, batch.camera_a, change)
    b = _view(pair.b, plates, stays, batch.camera_b, change)
    return replace(batch, pair=replace(pair, a=a, b=b, texture=texture))


def draw(count: int, share: float, key: str, device: torch.device) -> Recolouring:
    """One for each of ``count`` liveries; about 1 - ``share`` of them change nothing."""
    seed = int.from_bytes(hashlib.sha256(key.encode()).digest()[:7])
    host = torch.Generator().manual_seed(seed)
    order = torch.rand(count, 3, generator=host).argsort(dim=1)
    gain = 1 - (1 - DARKEST) * torch.rand(count, 3, generator=host)
    kept = torch.rand(count, 1, generator=host) >= share
    order = torch.where(kept, torch.arange(3), order)
    gain = torch.where(kept, 1.0, gain)[:, :, None, None]
    if device.type == "cuda":  # or a GPU's queue would be waited for
        order, gain = order.pin_memory(), gain.pin_memory()
    return Recolouring(*(x.to(device, non_blocking=True) for x in (order, gain)))


def _view(view: Tensor, plates: Plates, stays: Kept, camera: Tensor, change: Recolouring) -> Tensor:
    """The view [B, 3, S, S] in [-1, 1] of the recoloured car.

    A pixel is ``falling * paint + reflected``, in linear light; see :mod:`uvtex.showroom.compose`.
    """
    falling, reflected = (
        x[camera].permute(0, 3, 1, 2).float() for x in (plates.falling, plates.reflected)
    )
    lit = linear_from_srgb((view + 1) / 2) - reflected
    still = stays.views[camera]
    paint = still + change(lit / falling.clamp_min(LEAST) - still)
    changed = srgb_from_linear(paint * falling + reflected) * 2 - 1
    return torch.where(falling.amin(dim=1, keepdim=True) > LEAST, changed, view)
