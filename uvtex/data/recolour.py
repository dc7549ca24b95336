"""Liveries in other colours: a batch's textures, and its views as the car would then look.

What a view shows of its paint is told from the light that falls on it and the light that it
reflects without; so the view of the recoloured car is known, pixel by pixel, without its texture:
in linear light all that is done to the paint commutes with the mean over a pixel. What no livery
paints keeps its colours: its part of a pixel is set aside first. All this is exact but for 8 bits,
what was clipped, and, beside paint, what liveries have only nearly alike.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from uvtex.data.batch import Batch
from uvtex.data.storage.views import Plates
from uvtex.imaging.compose import linear_from_srgb, sample, srgb_from_linear

DARKEST = 0.5
"""Least gain of a channel, in linear light."""
LEAST = 1e-3
"""Light on a white wall below which a pixel shows no paint."""
WHOLE = 0.999
"""Share of a pixel's paint above which it is all of what no livery paints."""


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


class Unpainted(NamedTuple):
    """What no livery paints: its part of the paint, linear, and its share of the area."""

    texture: Tensor  # float32 [1, 4, S, S]
    views: Tensor  # float32 [K, 4, S, S] of what each camera's pixels see of the atlas


def unpainted(fixed: Tensor, small: Tensor, plates: Plates) -> Unpainted:
    """What stays of textures and views.

    Args:
        fixed: [4, T, T] as :func:`uvtex.imaging.constant_texels.constant_texels` has it, of the
            textures that views are composed from.
        small: [4, S, S] the same of the textures that networks see.
    """
    parts = torch.cat([linear_from_srgb((fixed[:3] + 1) / 2) * fixed[3:], fixed[3:]])[None]
    texture = F.interpolate(parts, tuple(small.shape[1:]), mode="area")
    # Texels of which shrinking has mixed nothing in are all there is, whatever their neighbours.
    texture[:, 3:] = small[3:]
    size = (plates.size, plates.size)
    return Unpainted(texture, torch.cat([sample(parts, uv, size) for uv in plates.uv]))


def recoloured(batch: Batch, plates: Plates, stays: Unpainted, share: float, key: str) -> Batch:
    """``batch`` with about ``share`` of its liveries in other colours, in both their views.

    Which, and how, is a function of ``key``, the same on every device. What is no paint stays, and
    so does what no livery paints. The batch's cameras are numbered as ``plates``.

    Raises:
        ValueError: the batch does not say which cameras took its views.
    """
    pair = batch.pair
    if batch.camera_a is None or batch.camera_b is None:
        raise ValueError("the batch does not say which cameras took its views")
    change = draw(len(pair.a), share, key, pair.a.device)
    paint = _changed(linear_from_srgb((pair.texture + 1) / 2), stays.texture, change)
    whole = stays.texture[:, 3:] > WHOLE
    texture = torch.where(whole, pair.texture, srgb_from_linear(paint) * 2 - 1)
    a = _view(pair.a, plates, stays, batch.camera_a, change)
    b = _view(pair.b, plates, stays, batch.camera_b, change)
    return replace(batch, pair=replace(pair, a=a, b=b, texture=texture))


def draw(count: int, share: float, key: str, device: torch.device) -> Recolouring:
    """One for each of ``count`` liveries; about 1 - ``share`` of them change nothing."""
    seed = int.from_bytes(hashlib.sha256(key.encode()).digest()[:7])
    host = torch.Generator().manual_seed(seed)
    order = torch.rand(count, 3, generator=host).argsort(dim=1)
    gain = 1 - (1 - DARKEST) * torch.rand(count, 3, generator=host)
    as_ever = torch.rand(count, 1, generator=host) >= share
    order = torch.where(as_ever, torch.arange(3), order)
    gain = torch.where(as_ever, 1.0, gain)[:, :, None, None]
    if device.type == "cuda":  # or a GPU's queue would be waited for
        order, gain = order.pin_memory(), gain.pin_memory()
    return Recolouring(*(x.to(device, non_blocking=True) for x in (order, gain)))


def _changed(paint: Tensor, stays: Tensor, change: Recolouring) -> Tensor:
    """``paint`` [B, 3, S, S], linear, in other colours, but for what ``stays`` [., 4, S, S]."""
    still = stays[:, :3]
    # Less than no paint does not exist: what was clipped would turn up in another channel.
    return still + change((paint - still).clamp_min(0))


def _view(
    view: Tensor, plates: Plates, stays: Unpainted, camera: Tensor, change: Recolouring
) -> Tensor:
    """The view [B, 3, S, S] in [-1, 1] of the recoloured car.

    A pixel is ``falling * paint + reflected``, in linear light; see :mod:`uvtex.imaging.compose`.
    """
    falling, reflected = (
        x[camera].permute(0, 3, 1, 2).float() for x in (plates.falling, plates.reflected)
    )
    lit = linear_from_srgb((view + 1) / 2) - reflected
    paint = _changed(lit / falling.clamp_min(LEAST), stays.views[camera], change)
    changed = srgb_from_linear(paint * falling + reflected) * 2 - 1
    shows = falling.amin(dim=1, keepdim=True) > LEAST
    return torch.where(shows & (stays.views[camera, 3:] <= WHOLE), changed, view)
