"""Reads a set's UV map files, one for each camera."""

from __future__ import annotations

import hashlib
from collections.abc import Hashable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from scipy import ndimage
from torch import Tensor

from uvtex.data.found_maps import other_stiffness
from uvtex.data.splits import Sides
from uvtex.data.storage.camera_order import order_of, renumbered, shown_outside_test
from uvtex.data.storage.loaded_set import COLUMNS, LoadedSet, Maps
from uvtex.errors import DataError
from uvtex.imaging import camera_bank as banks
from uvtex.imaging import uv_maps as flows

MOST_SAMPLES = 4
"""Largest number of UV samples along a pixel's side, for the networks.

A finer UV map is subsampled.
"""
CLOSE = 0.004
"""Largest distance, in parts of the texture, of samples that are surely of one panel."""
AROUND = 4
"""Distance of the farthest samples that have a part in a smoothed one."""
WIDEST = 3
"""Widest gap that is closed, in samples: those of one pixel of a found map."""


def read_cameras(
    folder: Path,
    names: Sequence[str | None],
    index: Tensor,
    size: int,
    device: torch.device,
    sides: Sides,
) -> tuple[Maps | None, Tensor, list[str | None]]:
    """The UV maps of photos, one for each camera, the index with the camera of each record, and a
    file of each camera.

    ``names`` are the UV map files, and column ``map`` of ``index`` [N, 5] counts them.

    Photos of one camera may each have a UV map file. Files of equal content are one camera. Cameras
    are in the order of the records, those of training first and those of the test side alone last.
    """
    column = COLUMNS.index("map")
    index = index.clone()
    order = order_of(index, "map", sides)
    shown = shown_outside_test(index, "map", sides)
    ordered = [names[k] for k in order]
    maps, camera = read_maps(folder, ordered, size, device, shown, alike=True)
    index[:, column] = camera[renumbered(index[:, column], order)]
    of_camera = dict(zip(camera.tolist()[::-1], ordered[::-1], strict=True))
    return maps, index, [of_camera[place] for place in sorted(of_camera)]


def at_stiffness(loaded: LoadedSet, stiffness: float) -> LoadedSet | None:
    """``loaded`` with its UV maps of another stiffness; None if those of ``loaded`` have it.

    Raises:
        DataError: the set has no UV maps of this stiffness.
    """
    files = loaded.files
    if files is None:
        raise DataError(
            f"map_stiffness {stiffness:g}: the set was rendered and has one exact UV map of each "
            "camera; leave map_stiffness out"
        )
    other = other_stiffness(files.folder, stiffness)
    if other is None:
        return None
    shown = len(files.maps) if loaded.cameras is None else loaded.cameras
    maps, _ = read_maps(
        files.folder, files.maps, loaded.size, loaded.device, shown, stiffness=other
    )
    return replace(loaded, maps=maps, files=replace(files, stiffness=other))


def read_maps(
    folder: Path,
    names: Sequence[str | None],
    size: int,
    device: torch.device,
    shown: int,
    alike: bool = False,
    stiffness: float | None = None,
) -> tuple[Maps | None, Tensor]:
    """The UV maps, and the index of each of ``names`` into them, int64.

    The maps are None if a name is None.

    Args:
        shown: the first so many decide how fine all maps are; the test side alone has the others.
        alike: files of equal content share one map.
        stiffness: which map of each file, see :func:`uvtex.imaging.uv_maps.array_names`.
    """
    if any(name is None for name in names):
        return None, torch.arange(len(names))
    flow: list[Tensor] = []
    seen: list[Tensor] = []
    paint: list[Tensor] = []
    trust: list[Tensor] = []
    place: dict[Hashable, int] = {}
    camera = []
    for name in names:
        uv, confidence = flows.read_doubtful_map(folder / str(name), stiffness)
        coded = banks.encode(resampled(uv, _samples(uv, size)))
        key = (coded.shape, hashlib.sha256(coded.tobytes()).digest()) if alike else name
        camera.append(place.setdefault(key, len(place)))
        if camera[-1] < len(flow):
            continue
        xy, hit = flows.invert(uv, size)
        flow.append(torch.from_numpy(xy).float())
        seen.append(torch.from_numpy(hit)[None])
        paint.append(torch.from_numpy(coded))
        trust.append(_trust(uv, confidence, size))
    grid = max(len(paint[k][0]) for k in camera[:shown])
    finer = [_finer(part, grid) for part in paint]
    maps = Maps(*(torch.stack(part).to(device) for part in (flow, seen, finer, trust)))
    return maps, torch.tensor(camera)


def _samples(uv: np.ndarray, size: int) -> int:
    """Side of the grid that ``uv`` [h, w, 2] is resampled to: a whole number of samples a pixel."""
    return size * max(1, min(MOST_SAMPLES, round(float(min(uv.shape[:2])) / size)))


def resampled(uv: np.ndarray, side: int) -> np.ndarray:
    """``uv`` [h, w, 2], resampled to [side, side, 2].

    A new sample that lies between old ones is interpolated: the nearest one would move the map by
    up to half a sample. Where panels meet, and at the edge of the paint, it is the nearest.
    """
    at = [(np.arange(side) + 0.5) / side * count for count in uv.shape[:2]]
    rows, columns = (place.astype(np.int64) for place in at)
    nearest = uv[rows][:, columns]
    between = np.meshgrid(*(place - 0.5 for place in at), indexing="ij")
    smooth = np.stack(
        [
            ndimage.map_coordinates(x, between, order=1, mode="nearest")
            for x in (uv[..., 0], uv[..., 1])
        ],
        axis=2,
    )
    near = np.abs(smooth - nearest).max(axis=2, keepdims=True) <= CLOSE
    made: np.ndarray = np.where(near, smooth, nearest)
    return made


def without_gaps(uv: np.ndarray) -> np.ndarray:
    """``uv`` [h, w, 2] with narrow gaps within a panel closed, by interpolation across them.

    Where an edge of a livery crosses a pixel, a found map may take a part of the pixel for no
    paint. To a network, which sees the mean of the pixel, that is the same.
    """
    out = uv.copy()
    for axis in (0, 1):
        for wide in range(2, WIDEST + 2):
            for before in range(1, wide):
                after = wide - before
                one, other = np.roll(out, before, axis), np.roll(out, -after, axis)
                near = np.abs(other - one).max(axis=2) <= CLOSE * wide
                gap = near & np.isnan(out[..., 0])
                out[gap] = ((one * after + other * before) / wide)[gap]
    return out


def smoothed(uv: np.ndarray) -> np.ndarray:
    """``uv`` [h, w, 2] with each sample the mean of those around it that are of its panel.

    The samples of a found map scatter. Two samples on opposite sides count, or neither does, so
    that a plane stays as it is, also beside an edge.
    """
    total, count = uv.copy(), np.ones((*uv.shape[:2], 1), np.float32)
    span = range(-AROUND, AROUND + 1)
    for down, right in ((y, x) for y in span for x in span if (y, x) > (0, 0)):
        far = np.hypot(down, right)
        if far > AROUND:
            continue
        one, other = (np.roll(uv, (k * down, k * right), axis=(0, 1)) for k in (1, -1))
        off = (np.abs(one - uv), np.abs(other - uv), far * np.abs((one + other) / 2 - uv))
        near = np.max(off, axis=(0, 3)) <= CLOSE * far
        total[near] += (one + other)[near]
        count[near] += 2
    return total / count


def _trust(uv: np.ndarray, confidence: np.ndarray, size: int) -> Tensor:
    """The mean confidence of a pixel's samples that have a place: [1, size, size]; 0 without."""
    placed = np.isfinite(uv).all(axis=2)
    both = torch.from_numpy(np.stack([placed * confidence, placed]).astype(np.float32))
    sure, there = F.adaptive_avg_pool2d(both, size)
    trust: Tensor = (sure / there.clamp_min(1e-6))[None]
    return trust


def _finer(paint: Tensor, side: int) -> Tensor:
    """``paint`` int16 [2, h, h], resampled by nearest neighbour to ``side``."""
    if len(paint[0]) == side:
        return paint
    at = ((torch.arange(side) + 0.5) / side * len(paint[0])).long()
    return paint[:, at][:, :, at]
