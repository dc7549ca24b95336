"""Augmentation of a batch's views on their device: geometry first, then camera effects.

The mask and the flow of a view follow its geometry. The flow holds points, and points are
transformed exactly, not resampled.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import replace

import torch
from torch import Tensor
from torch.nn import functional as F

from uvtex.config import Augment
from uvtex.data.batch import Batch, Pair

LUMA = (0.299, 0.587, 0.114)
"""ITU-R BT.601 weights of red, green and blue."""


def augmented(batch: Batch, how: Augment, key: str) -> Batch:
    """``batch`` with all views augmented, each picture by its own amounts.

    The amounts are a function of ``key``, the same on every device. The noise depends on the
    device. If every strength is 0, the result is ``batch`` itself.
    """
    if not any(how.model_dump().values()):
        return batch
    seed = int.from_bytes(hashlib.sha256(key.encode()).digest()[:7])
    pair = batch.pair
    views, masks = torch.cat([pair.a, pair.b]), torch.cat([pair.mask_a, pair.mask_b])
    draw = _Draw(seed, len(views), views.device)
    flows = _joined(batch.flow_a, batch.flow_b)
    seen = _joined(batch.seen_a, batch.seen_b)
    if how.affine or how.perspective:
        matrices = _homographies(draw, how)
        views, masks = _warp(views, matrices, "border"), _warp(masks, matrices, "zeros")
        if flows is not None and seen is not None:
            flows, inside = move(flows, _to_device(torch.linalg.inv(matrices), flows.device))
            seen = seen * inside
    views = _camera(views, draw, how)
    a, b = views.chunk(2)
    shown_a, shown_b = None, None
    if how.background:
        shown_a, shown_b = _before_colours(views, masks, draw, how.background).chunk(2)
    mask_a, mask_b = masks.chunk(2)
    flow_a, flow_b = (None, None) if flows is None else flows.chunk(2)
    seen_a, seen_b = (None, None) if seen is None else seen.chunk(2)
    more = None if batch.more is None else _further(batch.more, how, f"{key}/more")
    return replace(
        batch,
        more=more,
        pair=Pair(a, b, pair.texture, mask_a, mask_b),
        flow_a=flow_a,
        seen_a=seen_a,
        flow_b=flow_b,
        seen_b=seen_b,
        shown_a=shown_a,
        shown_b=shown_b,
    )


def _further(views: Tensor, how: Augment, key: str) -> Tensor:
    """Further views [B, M, 3, S, S], each augmented by its own amounts.

    Their background stays: it matters to the estimate of the camera, which is trained on the
    pair's views.
    """
    flat = views.flatten(0, 1)
    seed = int.from_bytes(hashlib.sha256(key.encode()).digest()[:7])
    draw = _Draw(seed, len(flat), flat.device)
    if how.affine or how.perspective:
        flat = _warp(flat, _homographies(draw, how), "border")
    return _camera(flat, draw, how).reshape(views.shape)


def move(flow: Tensor, matrices: Tensor) -> tuple[Tensor, Tensor]:
    """The points of ``flow`` [B, 2, S, S], transformed by the homographies ``matrices`` [B, 3, 3].

    The second result is float [B, 1, S, S]: 1 for a point within [-1, 1], else 0.
    """
    x, y, scale = (
        torch.einsum("bi,bihw->bhw", row[:, :2], flow) + row[:, 2, None, None]
        for row in matrices.unbind(1)
    )
    moved = torch.stack([x, y], dim=1) / scale.unsqueeze(1)
    return moved, (moved.abs() <= 1).all(dim=1, keepdim=True).to(flow.dtype)


class _Draw:
    """The random numbers of one training step."""

    def __init__(self, seed: int, count: int, device: torch.device) -> None:
        # Amounts are drawn on the host, so that they are the same for every device.
        self._host = torch.Generator().manual_seed(seed)
        self._own = torch.Generator(device).manual_seed(seed)
        self._count, self._device = count, device

    def amounts(self, strength: float) -> Tensor:
        """Uniform amounts between -``strength`` and ``strength``, float64 [B] on the host."""
        even = torch.rand(self._count, generator=self._host, dtype=torch.float64)
        return (even * 2 - 1) * strength

    def factors(self, strength: float) -> Tensor:
        """Uniform factors between 1 - ``strength`` and 1 + ``strength``.

        They are float [B, 1, 1, 1] on the device.
        """
        return _to_device(1 + self.amounts(strength), self._device).view(-1, 1, 1, 1)

    def normal(self, like: Tensor) -> Tensor:
        return torch.randn(like.shape, generator=self._own, device=self._device)


def _to_device(values: Tensor, device: torch.device) -> Tensor:
    """Host values as float32 on ``device``.

    For CUDA they are pinned first, so that the transfer does not wait for the GPU's queue.
    """
    values = values.float()
    if device.type == "cuda":
        values = values.pin_memory()
    return values.to(device, non_blocking=True)


def _homographies(draw: _Draw, how: Augment) -> Tensor:
    """Homographies from the new picture to the old one.

    They are float64 [B, 3, 3] on the host.
    """
    turn, size, x, y = (draw.amounts(how.affine) for _ in range(4))
    p, q = (draw.amounts(how.perspective) for _ in range(2))
    zero, one = torch.zeros_like(x), torch.ones_like(x)
    cos, sin = (1 + size) * torch.cos(turn), (1 + size) * torch.sin(turn)
    affine = torch.stack([cos, -sin, x, sin, cos, y, zero, zero, one], dim=1).view(-1, 3, 3)
    tilt = torch.stack([one, zero, zero, zero, one, zero, p, q, one], dim=1).view(-1, 3, 3)
    return affine @ tilt


def _warp(images: Tensor, matrices: Tensor, padding: str) -> Tensor:
    side = images.shape[-1]
    centres = (torch.arange(side, device=images.device) + 0.5) / side * 2 - 1
    y, x = torch.meshgrid(centres, centres, indexing="ij")
    points = torch.stack([x, y]).expand(len(images), -1, -1, -1)
    old, _ = move(points, _to_device(matrices, images.device))
    return F.grid_sample(images, old.permute(0, 2, 3, 1), padding_mode=padding, align_corners=False)


def _before_colours(views: Tensor, masks: Tensor, draw: _Draw, strength: float) -> Tensor:
    """Blends the background of every view with a random colour, a different one for each view.

    The predictor then cannot recognise a camera by its background.
    """
    share = draw.amounts(strength).abs()
    colour = torch.stack([draw.amounts(1.0) for _ in range(3)], dim=1)
    share, colour = (_to_device(x, views.device) for x in (share, colour))
    return torch.lerp(views, colour.view(-1, 3, 1, 1), (1 - masks) * share.view(-1, 1, 1, 1))


def _camera(views: Tensor, draw: _Draw, how: Augment) -> Tensor:
    """The camera effects: blur first, then colour, then the sensor's noise."""
    if how.blur:
        views = _blurred(views, draw.amounts(how.blur).abs().float())
    if how.colour:
        views = _coloured(views, draw, how.colour)
    if how.noise:
        views = views + draw.normal(views) * (2 * how.noise)  # the range is 2 wide
    return views.clamp(-1, 1)


def _coloured(views: Tensor, draw: _Draw, strength: float) -> Tensor:
    views = (views + 1) * draw.factors(strength)
    mean = views.mean(dim=(1, 2, 3), keepdim=True)
    views = mean + (views - mean) * draw.factors(strength)
    luma = _to_device(torch.tensor(LUMA), views.device).view(1, 3, 1, 1)
    grey = (views * luma).sum(dim=1, keepdim=True)
    return (grey + (views - grey) * draw.factors(strength)).clamp(0, 2) - 1


def _blurred(views: Tensor, sigma: Tensor) -> Tensor:
    """Each picture blurred by its own Gaussian, of ``sigma`` [B] pixels on the host.

    The kernel ends at three times the largest sigma.
    """
    batch, channels, height, width = views.shape
    reach = min(math.ceil(3 * float(sigma.max())), height - 1, width - 1)
    at = torch.arange(-reach, reach + 1, device=views.device)
    sigma = _to_device(sigma, views.device)
    weights = torch.exp(-0.5 * (at / sigma.clamp_min(1e-3)[:, None]) ** 2)
    kernel = (weights / weights.sum(dim=1, keepdim=True)).repeat_interleave(channels, dim=0)
    padded = F.pad(views, (reach,) * 4, mode="reflect")
    flat = padded.reshape(1, batch * channels, *padded.shape[2:])
    flat = F.conv2d(flat, kernel[:, None, None, :], groups=batch * channels)
    flat = F.conv2d(flat, kernel[:, None, :, None], groups=batch * channels)
    return flat.view(batch, channels, height, width)


def _joined(a: Tensor | None, b: Tensor | None) -> Tensor | None:
    return None if a is None or b is None else torch.cat([a, b])
