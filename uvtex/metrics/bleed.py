"""Mask bleed: the change of a predicted texture when only the background of its view changes.

The predictor sees a view, and the same view with another background. A predictor that ignores the
background predicts the same texture twice. The metric needs neither the true texture nor a
renderer.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from scipy import ndimage
from torch import Tensor

DEPTHS = {"bleed_border": 0.0, "bleed_2px": 2.0, "bleed_4px": 4.0, "bleed_8px": 8.0}
"""Metric -> least depth inside the silhouette, in pixels; the next metric's depth is the end."""
LEAST = 0.5 / 127.5
"""Half of one 8-bit level. A texture that changes by less counts as unchanged."""
CACHE_BYTES = 64 << 20
"""Memory for the surroundings of masks. The masks of a built set's cameras recur at every epoch;
one takes three quarters of a megabyte at 256 px."""


@dataclass(frozen=True)
class Swap:
    """Views with another background, and the change that this made."""

    view: Tensor  # [B, 3, H, W] in [-1, 1]
    change: Tensor  # [B, 3, H, W], change of the background pixel, on the car of the nearest
    depth: Tensor  # [B, 1, H, W], pixels to the nearest background pixel, 0 on the background


def swap(view: Tensor, mask: Tensor) -> Swap:
    """Replaces the background of ``view`` [B, 3, H, W] by one plain colour.

    The colour is the mean of the background, half of the range brighter or darker in each channel.
    Holes in the mask, such as windows, count as car. Wheels that a mask of the paint leaves out at
    its edge count as background. A pixel that shows the car in part keeps that part. On CUDA this
    synchronises with the device, because the distances are computed on the host.

    Args:
        mask: [B, 1, H, W] in [0, 1], the car's share of each pixel.
    """
    found = [_CACHE.of(one[0]) for one in mask.float().cpu().numpy()]
    share, depth, place = (
        torch.from_numpy(np.stack(parts)[:, None]).to(view.device)
        for parts in zip(*found, strict=True)
    )
    share, depth = share.to(view), depth.to(view)
    flat = place.long().flatten(2).expand(-1, view.shape[1], -1)
    behind = view.flatten(2).gather(2, flat).view_as(view)
    plain = (depth == 0).to(view)
    area = plain.sum(dim=(2, 3), keepdim=True).clamp_min(1)
    mean = (view * plain).sum(dim=(2, 3), keepdim=True) / area
    change = torch.where(mean < 0, mean + 1, mean - 1) - behind
    return Swap(view + share * change, change, depth)


def bleed(before: Tensor, after: Tensor, swapped: Swap) -> Tensor:
    """The mean change of a texture [B, 3, S, S] over the mean change of the background: [B].

    0 means that the background leaves no trace. NaN marks views without background.
    """
    outside = (swapped.depth == 0).to(before)
    area = outside.sum(dim=(1, 2, 3)) * 3
    return (after - before).abs().mean(dim=(1, 2, 3)) / (
        (swapped.change.abs() * outside).sum(dim=(1, 2, 3)) / area
    )


def by_depth(
    before: Tensor,
    after: Tensor,
    swapped: Swap,
    flow: Tensor,  # [B, 2, S, S] in [-1, 1], where the view shows each texel
    seen: Tensor,  # [B, 1, S, S] in {0, 1}, whether the view shows it
) -> dict[str, Tensor]:
    """The bleed of the visible texels, by depth inside the silhouette: name -> [B].

    Each metric of DEPTHS is the mean change of the texels at that depth, over the mean change of
    the background pixels nearest to them. A texture that takes a tenth of its colour from there has
    0.1. ``bleed_towards`` is the share of the change at the border that points towards the new
    background's colour: 1 all of it, 0 none, -1 away from it. NaN marks samples without such
    texels, or without change.
    """
    at = flow.permute(0, 2, 3, 1)
    depth = F.grid_sample(swapped.depth, at, padding_mode="border", align_corners=False)
    pull = F.grid_sample(
        swapped.change, at, mode="nearest", padding_mode="border", align_corners=False
    )
    change = after - before
    ends = [*list(DEPTHS.values())[1:], float("inf")]
    columns = {}
    for (name, begin), end in zip(DEPTHS.items(), ends, strict=True):
        part = seen * (depth >= begin) * (depth < end)
        columns[name] = _sum(change.abs() * part) / _sum(pull.abs() * part)
    border = seen * (depth < ends[0])
    length = pull.norm(dim=1, keepdim=True).clamp_min(1e-6)
    along = (change * pull).sum(dim=1, keepdim=True) / length
    size = change.norm(dim=1, keepdim=True)
    moved = border * (size > LEAST)
    columns["bleed_towards"] = _sum(along * moved) / _sum(size * moved)
    return columns


def _sum(values: Tensor) -> Tensor:
    return values.sum(dim=(1, 2, 3))


Surroundings = tuple[np.ndarray, np.ndarray, np.ndarray]
"""The background's share, the depth, and the index of the nearest background, each [H, W]."""


class SurroundingsCache:
    """Keeps the surroundings of the masks that were used last, in at most ``limit`` bytes."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._kept: OrderedDict[tuple[bytes, tuple[int, ...]], Surroundings] = OrderedDict()
        self.misses = 0
        self.nbytes = 0
        """Bytes of the arrays that are kept."""

    def of(self, mask: np.ndarray) -> Surroundings:
        """The surroundings of ``mask``, float32 [H, W]; not to be written into."""
        key = (hashlib.sha256(mask.tobytes()).digest(), mask.shape)
        if key in self._kept:
            self._kept.move_to_end(key)
            return self._kept[key]
        self.misses += 1
        found = self._kept[key] = _surroundings(mask)
        self.nbytes += _bytes(found)
        while self.nbytes > self._limit:
            self.nbytes -= _bytes(self._kept.popitem(last=False)[1])
        return found


def _bytes(found: Surroundings) -> int:
    return sum(array.nbytes for array in found)


_CACHE = SurroundingsCache(CACHE_BYTES)


def _surroundings(part: np.ndarray) -> Surroundings:
    car = ndimage.binary_fill_holes(part > 0)
    if car.all():  # the transform would invent distances
        return np.zeros_like(part), np.full_like(part, np.inf), np.zeros(part.shape, np.int32)
    depth, (row, column) = ndimage.distance_transform_edt(car, return_indices=True)
    # Only the outline is car in part: a half pixel at a window's edge has car behind it.
    edge = car & ndimage.binary_dilation(~car, np.ones((3, 3)))
    share = np.where(car, np.where(edge, 1 - part, 0), 1)
    place = (row * part.shape[1] + column).astype(np.int32)
    return share.astype(np.float32), depth.astype(np.float32), place
