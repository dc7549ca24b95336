"""Reads a data set's files, resizes them to one size, and makes a :class:`LoadedSet`."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from uvtex.data import pictures
from uvtex.data.manifest import Record
from uvtex.data.recolour import Unpainted, unpainted
from uvtex.data.storage import digests
from uvtex.data.storage.buffers import ImageStack, Indices, MemoryBudget
from uvtex.data.storage.loaded_set import COLUMNS, LoadedSet, Maps, train_textures
from uvtex.data.storage.views import (
    Composed,
    Pictures,
    Plates,
    cache_if_small,
    read_light,
    read_plates,
)
from uvtex.errors import DataError
from uvtex.imaging import camera_bank as banks
from uvtex.imaging import uv_maps as flows
from uvtex.imaging.constant_texels import constant_texels

COMPARED = 2**26
"""Bytes of textures compared at once."""
MOST_SAMPLES = 4
"""Largest number of UV samples along a pixel's side, for the networks.

A finer UV map is subsampled.
"""

H = TypeVar("H", bound=Hashable)


@dataclass(frozen=True)
class FileTable:
    """The distinct files of a manifest.

    The table takes a few megabytes where the records take half a gigabyte.
    """

    liveries: list[str]
    views: str
    """All views in one string, separated by NULs. Separate strings would be scattered over the
    memory of the records and keep it allocated."""
    textures: list[str]
    masks: list[str | None]
    maps: list[str | None]
    plates: list[tuple[str | None, str | None]]
    """The pairs of ``plate`` and ``uv_map``."""
    index: Tensor  # int64 [N, 5] on the host, by COLUMNS


def file_table(records: Sequence[Record]) -> FileTable:
    """The distinct files of ``records``, and each record's indices into them."""
    liveries, livery = _unique([r.livery for r in records])
    textures, texture = _unique([r.texture for r in records])
    masks, mask = _unique([r.mask for r in records])
    maps, uv_map = _unique([r.uv_map for r in records])
    plates, plate = _unique([(r.plate, r.uv_map) for r in records])
    index = torch.stack([torch.arange(len(records)), texture, mask, uv_map, plate], dim=1)
    names = [liveries[i] for i in livery.tolist()]  # one string for all of a livery's views
    return FileTable(
        names, "\0".join(r.view for r in records), textures, masks, maps, plates, index
    )


def load_set(
    folder: Path, files: FileTable, size: int, space: MemoryBudget, val: Sequence[int]
) -> LoadedSet:
    """The data set at ``size``.

    Args:
        val: the records that do not train.

    Raises:
        DataError: a file is missing or broken.
        UvtexError: the pictures fit neither in memory nor on the disk.
    """
    plates = _plates(folder, files.plates, size, space)
    textures, whole = _textures(folder, files.textures, size, space, plates is not None)
    masks = _stack(1, files.masks, size, space, lambda name: _read_mask(folder, name, size))
    if plates is None:
        maps, index = _cameras(folder, files, size, space.device, val)
        views = Pictures(_views(folder, files, size, space))
        return LoadedSet(space.device, views, textures, masks, maps, None, index, None, None)
    maps, _ = _read_maps(folder, files.maps, size, space.device)
    _, texture, _, _, plate = files.index.unbind(dim=1)
    composed = cache_if_small(Composed(plates, whole), texture, plate, space)
    paints = digests.of_stack(whole, torch.arange(len(whole)))  # they may be freed after this
    kept = _kept(train_textures(files.index, _trains(files.index, val)), whole, textures, plates)
    index = files.index
    return LoadedSet(space.device, composed, textures, masks, maps, plates, index, paints, kept)


def _trains(index: Tensor, val: Sequence[int]) -> Tensor:
    """The training records as a mask, bool [N]."""
    trains = torch.ones(len(index), dtype=torch.bool)
    trains[torch.tensor(val, dtype=torch.int64)] = False
    return trains


def _kept(chosen: Tensor, whole: ImageStack, small: ImageStack, plates: Plates) -> Unpainted | None:
    """The constant texels of the ``chosen`` textures, at full size and at the networks' size.

    None if no record trains.
    """
    if not len(chosen):
        return None
    device = plates.uv.device
    places = Indices(chosen, chosen.to(device))
    count = max(1, COMPARED // (3 * whole.size**2))
    parts = [places.part(start, count) for start in range(0, len(chosen), count)]
    large, same = (
        constant_texels(stack.take(p).to(device) for p in parts) for stack in (whole, small)
    )
    return unpainted(large, same, plates)


def _unique(names: Sequence[H]) -> tuple[list[H], Tensor]:
    """The distinct names in their order, and the index of each name into them, int64 [N]."""
    place: dict[H, int] = {}
    places = np.fromiter((place.setdefault(n, len(place)) for n in names), np.int64, len(names))
    return list(place), torch.from_numpy(places)


def _stack(
    channels: int,
    names: Sequence[H],
    size: int,
    space: MemoryBudget,
    read: Callable[[H], np.ndarray],
) -> ImageStack:
    return space.stack(len(names), (channels, size, size), lambda i: read(names[i]))


def _plates(
    folder: Path, names: Sequence[tuple[str | None, str | None]], size: int, space: MemoryBudget
) -> Plates | None:
    """The set's plates.

    None unless every record has a plate and all plates are for this size.
    """
    known = [(plate, uv_map) for plate, uv_map in names if plate is not None and uv_map is not None]
    if len(known) < len(names):
        return None
    plates = read_plates(folder, known, size, space.device)
    if plates is not None:
        space.left -= plates.nbytes
    return plates


def _views(folder: Path, files: FileTable, size: int, space: MemoryBudget) -> ImageStack:
    names = files.views.split("\0")
    plate = files.plates[0][0]
    if plate is not None and not (folder / names[0]).is_file():
        native = len(read_light(folder / plate)[0])
        raise DataError(
            f"{folder}: its views are not there, and its plates are for {native} pixels, not "
            f"{size}; give --image-size {native}, or build the set at {size}"
        )
    return _stack(3, names, size, space, lambda name: pictures.read_rgb(folder / name, size))


def _textures(
    folder: Path, names: list[str], size: int, space: MemoryBudget, composing: bool
) -> tuple[ImageStack, ImageStack]:
    """The textures at ``size``, and the textures from which views are composed.

    The second are at full size if views are composed. If not, both are the same stack.
    """
    if not composing:
        stack = _stack(3, names, size, space, lambda name: pictures.read_rgb(folder / name, size))
        return stack, stack
    texels = len(pictures.read_rgb(folder / names[0]))

    def read_whole(name: str) -> np.ndarray:
        rgb = pictures.read_rgb(folder / name)
        if rgb.shape != (texels, texels, 3):
            raise DataError(
                f"{folder / name}: is {rgb.shape[1]} x {rgb.shape[0]}, and views can only be "
                f"composed if all textures are {texels} x {texels} as the first; scale it"
            )
        return rgb

    whole = _stack(3, names, texels, space, read_whole)
    if texels == size:
        return whole, whole

    def read_small(i: int) -> np.ndarray:
        return pictures.resized(whole.pixels[i].permute(1, 2, 0).cpu().numpy(), size)

    return space.stack(len(names), (3, size, size), read_small), whole


def _read_mask(folder: Path, name: str | None, size: int) -> np.ndarray:
    if name is None:
        raise DataError(
            f"{folder}/manifest.json: a record has no `mask`; every view needs one "
            "(255 where paint is seen)"
        )
    return pictures.read_grey(folder / name, size)


def _cameras(
    folder: Path, files: FileTable, size: int, device: torch.device, val: Sequence[int]
) -> tuple[Maps | None, Tensor]:
    """The UV maps of photos, one for each camera, and the index with the camera of each record.

    Photos of one camera may each have a UV map file. Files of equal content are one camera. Cameras
    are in the order of the records. Cameras that only ``val`` shows come last.
    """
    column = COLUMNS.index("map")
    index = files.index.clone()
    shown = set(index[_trains(index, val), column].tolist())
    order = sorted(range(len(files.maps)), key=lambda k: k not in shown)
    maps, camera = _read_maps(folder, [files.maps[k] for k in order], size, device, alike=True)
    place = torch.empty(len(order), dtype=torch.int64)
    place[torch.tensor(order)] = camera
    index[:, column] = place[index[:, column]]
    return maps, index


def _read_maps(
    folder: Path, names: Sequence[str | None], size: int, device: torch.device, alike: bool = False
) -> tuple[Maps | None, Tensor]:
    """The UV maps, and the index of each of ``names`` into them, int64.

    With ``alike``, files of equal content share one map. The maps are None if a name is None.
    """
    if any(name is None for name in names):
        return None, torch.arange(len(names))
    flow: list[Tensor] = []
    seen: list[Tensor] = []
    paint: list[Tensor] = []
    place: dict[Hashable, int] = {}
    camera = []
    for name in names:
        uv = flows.read_uv_map(folder / str(name))
        coded = banks.encode(_gridded(uv, size))
        key = (coded.shape, hashlib.sha256(coded.tobytes()).digest()) if alike else name
        camera.append(place.setdefault(key, len(place)))
        if camera[-1] < len(flow):
            continue
        xy, hit = flows.invert(uv, size)
        flow.append(torch.from_numpy(xy).float())
        seen.append(torch.from_numpy(hit)[None])
        paint.append(torch.from_numpy(coded))
    grid = max(len(part[0]) for part in paint)
    finer = [_finer(part, grid) for part in paint]
    maps = Maps(*(torch.stack(part).to(device) for part in (flow, seen, finer)))
    return maps, torch.tensor(camera)


def _gridded(uv: np.ndarray, size: int) -> np.ndarray:
    """``uv`` [h, w, 2], resampled by nearest neighbour to a whole number of samples a pixel."""
    side = max(1, min(MOST_SAMPLES, round(min(uv.shape[:2]) / size))) * size
    rows, columns = (
        ((np.arange(side) + 0.5) / side * count).astype(np.int64) for count in uv.shape[:2]
    )
    gridded: np.ndarray = uv[rows][:, columns]
    return gridded


def _finer(paint: Tensor, side: int) -> Tensor:
    """``paint`` int16 [2, h, h], resampled by nearest neighbour to ``side``.

    ``side`` is the largest of all cameras.
    """
    if len(paint[0]) == side:
        return paint
    at = ((torch.arange(side) + 0.5) / side * len(paint[0])).long()
    return paint[:, at][:, :, at]
