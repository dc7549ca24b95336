"""Batches of pairs of records, on the training device."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from uvtex.data.batch import Batch, Pair
from uvtex.data.storage.buffers import Indices, prefetch
from uvtex.data.storage.loaded_set import IndexRows, LoadedSet


@dataclass(frozen=True)
class RawBatch:
    """A batch's bytes, pinned or on the device, and the indices of its UV maps."""

    a: Tensor  # uint8 [B, 3, S, S]
    b: Tensor
    texture: Tensor
    mask_a: Tensor  # uint8 [B, 1, S, S]
    mask_b: Tensor
    map_a: Indices
    map_b: Indices
    more: Tensor | None  # uint8 [M * B, 3, S, S]
    map_more: Tensor | None  # int64 [M, B] on the device


def batches(
    loaded: LoadedSet, pairs: Tensor, batch_size: int, more: Sequence[int] | None = None
) -> Iterator[Batch]:
    """The batches of ``pairs``.

    The last batch may be smaller. Pictures in a file are read one batch ahead.

    Args:
        pairs: int64 [2 + M, N], the records of views a, of views b, and of further views.
        more: for each batch, how many of the M further views it has. None: none.
    """
    chunks = loaded.rows(pairs).chunks(batch_size)  # one transfer an epoch, not one a step
    gathered = (
        _gather(loaded, chunk, 0 if more is None else more[step])
        for step, chunk in enumerate(chunks)
    )
    for raw in prefetch(gathered) if loaded.mapped else gathered:
        yield _assemble(loaded, raw)


def colours(pixels: Tensor, device: torch.device) -> Tensor:
    """The pictures ``pixels``, uint8, on ``device``, in [-1, 1]."""
    return _floats(pixels, device).div_(127.5).sub_(1)


def _floats(pixels: Tensor, device: torch.device) -> Tensor:
    return pixels.to(device, non_blocking=True).float()


def _gather(loaded: LoadedSet, all_rows: IndexRows, count: int) -> RawBatch:
    a, b = (IndexRows(all_rows.host[side], all_rows.device[side]) for side in (0, 1))
    chosen = slice(2, 2 + count)
    further = IndexRows(all_rows.host[chosen], all_rows.device[chosen])
    return RawBatch(
        a=loaded.take_views(a),
        b=loaded.take_views(b),
        texture=loaded.textures.take(a.part("texture")),
        mask_a=loaded.masks.take(a.part("mask")),
        mask_b=loaded.masks.take(b.part("mask")),
        map_a=a.part("map"),
        map_b=b.part("map"),
        more=loaded.take_views(further.flat()) if count else None,
        map_more=further.part("map").device if count else None,
    )


def _assemble(loaded: LoadedSet, raw: RawBatch) -> Batch:
    device = loaded.device

    pair = Pair(
        a=colours(raw.a, device),
        b=colours(raw.b, device),
        texture=colours(raw.texture, device),
        mask_a=_floats(raw.mask_a, device).div_(255),
        mask_b=_floats(raw.mask_b, device).div_(255),
    )
    further, cameras = None, None
    if raw.more is not None and raw.map_more is not None:
        cameras = raw.map_more.T
        shape = (*raw.map_more.shape, *raw.more.shape[1:])
        further = colours(raw.more, device).reshape(shape).transpose(0, 1).contiguous()
    if loaded.maps is None:
        return Batch(pair, None, None, None, None, None, None, more=further)
    flow, seen = loaded.maps.flow, loaded.maps.seen
    flow_a, flow_b = (flow.index_select(0, m.device) for m in (raw.map_a, raw.map_b))
    seen_a, seen_b = (seen.index_select(0, m.device).float() for m in (raw.map_a, raw.map_b))
    return Batch(
        pair,
        flow_a,
        seen_a,
        flow_b,
        seen_b,
        raw.map_a.device,
        raw.map_b.device,
        more=further,
        more_cameras=cameras,
    )
