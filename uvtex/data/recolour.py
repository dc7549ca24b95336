"""Recolouring of liveries: a batch's textures in other colours, and the matching views.

In linear light, a pixel is falling light times paint, plus reflected light. A plate gives both
lights, so the paint of each pixel follows from the view. A recolouring is linear in the paint, so
it commutes with the mean over a pixel. The view of the recoloured car therefore follows pixel by
pixel, without the texture.

Constant texels keep their colours: their part of a pixel is subtracted first. The result is exact
but for three errors: 8-bit rounding, clipped values, and texels that are only nearly constant
beside paint.
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
"""Smallest gain of a channel, in linear light."""
LEAST = 1e-3
"""Light on a white wall below which a pixel counts as showing no paint."""
WHOLE = 0.999
"""Share of constant texels in a pixel's paint above which the pixel counts as constant."""


class Recolouring(NamedTuple):
    """A permutation of red, green and blue, and a gain of at most 1 for each new channel."""

    order: Tensor  # int64 [B, 3]: the old channel of each new one
    gain: Tensor  # float32 [B, 3, 1, 1] in [DARKEST, 1]

    def __call__(self, linear: Tensor) -> Tensor:
        """The recoloured paint, for paint [B, 3, S, S] in linear light."""
        return self.reordered(linear) * self.gain

    def reordered(self, images: Tensor) -> Tensor:
        """``images`` [B, 3, S, S] with their channels permuted."""
        return images.gather(1, self.order[:, :, None, None].expand_as(images))


class Unpainted(NamedTuple):
    """The constant texels: their part of the paint, linear, and their share of the area."""

    texture: Tensor  # float32 [1, 4, S, S]
    views: Tensor  # float32 [K, 4, S, S], the same of each camera's pixels


def unpainted(fixed: Tensor, small: Tensor, plates: Plates) -> Unpainted:
    """The constant texels of textures and of views.

    Args:
        fixed: [4, T, T], the result of :func:`uvtex.imaging.constant_texels.constant_texels` for
            the textures from which views are composed.
        small: [4, S, S], the same for the textures that networks see.
    """
    parts = torch.cat([linear_from_srgb((fixed[:3] + 1) / 2) * fixed[3:], fixed[3:]])[None]
    texture = F.interpolate(parts, tuple(small.shape[1:]), mode="area")
    # The share of a small texel is ``small``'s own, 0 or 1, and not the mean of its area.
    texture[:, 3:] = small[3:]
    size = (plates.size, plates.size)
    return Unpainted(texture, torch.cat([sample(parts, uv, size) for uv in plates.uv]))


def recoloured(batch: Batch, plates: Plates, stays: Unpainted, share: float, key: str) -> Batch:
    """``batch`` with about ``share`` of its liveries recoloured, in the texture and in all views.

    The choice of liveries and the recolouring are a function of ``key``, the same on every device.
    Unpainted parts and constant texels keep their colours. The batch's cameras have the numbers of
    ``plates``.

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
    a = _recolour_view(pair.a, plates, stays, batch.camera_a, change)
    b = _recolour_view(pair.b, plates, stays, batch.camera_b, change)
    more = batch.more
    if more is not None and batch.more_cameras is not None:
        count = more.shape[1]
        alike = Recolouring(*(x.repeat_interleave(count, dim=0) for x in change))
        cameras = batch.more_cameras.flatten()
        further = _recolour_view(more.flatten(0, 1), plates, stays, cameras, alike)
        more = further.reshape(more.shape)
    return replace(batch, pair=replace(pair, a=a, b=b, texture=texture), more=more)


def draw(count: int, share: float, key: str, device: torch.device) -> Recolouring:
    """A recolouring for each of ``count`` liveries. About 1 - ``share`` of them change nothing."""
    seed = int.from_bytes(hashlib.sha256(key.encode()).digest()[:7])
    host = torch.Generator().manual_seed(seed)
    order = torch.rand(count, 3, generator=host).argsort(dim=1)
    gain = 1 - (1 - DARKEST) * torch.rand(count, 3, generator=host)
    unchanged = torch.rand(count, 1, generator=host) >= share
    order = torch.where(unchanged, torch.arange(3), order)
    gain = torch.where(unchanged, 1.0, gain)[:, :, None, None]
    if device.type == "cuda":  # so that the transfer does not wait for the GPU
        order, gain = order.pin_memory(), gain.pin_memory()
    return Recolouring(*(x.to(device, non_blocking=True) for x in (order, gain)))


def _changed(paint: Tensor, stays: Tensor, change: Recolouring) -> Tensor:
    """Linear ``paint`` [B, 3, S, S], recoloured but for its constant part.

    Args:
        stays: [., 4, S, S], the constant part, linear, and its share of the area.
    """
    still = stays[:, :3]
    # Paint is not negative. Without the clamp, clipped values would show in another channel.
    return still + change((paint - still).clamp_min(0))


def _recolour_view(
    view: Tensor, plates: Plates, stays: Unpainted, camera: Tensor, change: Recolouring
) -> Tensor:
    """The view [B, 3, S, S] in [-1, 1] of the recoloured car.

    A pixel is ``falling * paint + reflected`` in linear light. See :mod:`uvtex.imaging.compose`.
    """
    falling, reflected = (
        x[camera].permute(0, 3, 1, 2).float() for x in (plates.falling, plates.reflected)
    )
    lit = linear_from_srgb((view + 1) / 2) - reflected
    paint = _changed(lit / falling.clamp_min(LEAST), stays.views[camera], change)
    changed = srgb_from_linear(paint * falling + reflected) * 2 - 1
    shows = falling.amin(dim=1, keepdim=True) > LEAST
    return torch.where(shows & (stays.views[camera, 3:] <= WHOLE), changed, view)
