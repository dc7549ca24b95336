"""Reads a data set's files, resizes them to one size, and makes a :class:`LoadedSet`."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from uvtex.data import pictures
from uvtex.data.manifest import Record
from uvtex.data.recolour import Unpainted, unpainted
from uvtex.data.splits import Sides
from uvtex.data.storage import digests
from uvtex.data.storage.buffers import ImageStack, Indices, MemoryBudget
from uvtex.data.storage.camera_order import order_of, renumbered, shown_outside_test
from uvtex.data.storage.loaded_set import (
    COLUMNS,
    LoadedSet,
    PictureFiles,
    train_textures,
)
from uvtex.data.storage.map_files import read_cameras, read_maps
from uvtex.data.storage.views import (
    Composed,
    Pictures,
    Plates,
    cache_if_small,
    read_light,
    read_plates,
)
from uvtex.errors import DataError
from uvtex.imaging.constant_texels import constant_texels

COMPARED = 2**26
"""Bytes of textures compared at once."""
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
    folder: Path, files: FileTable, size: int, space: MemoryBudget, sides: Sides
) -> LoadedSet:
    """The data set at ``size``.

    Nothing that training uses depends on the pictures, UV maps and plates that only the test side
    has.

    Raises:
        DataError: a file is missing or broken.
        UvtexError: the pictures fit neither in memory nor on the disk.
    """
    files, plates = _plates(folder, files, size, space, sides)
    textures, whole = _textures(folder, files.textures, size, space, plates is not None)
    masks = _stack(1, files.masks, size, space, lambda name: _read_mask(folder, name, size))
    device = space.device
    if plates is None:
        maps, index, of_camera = read_cameras(folder, files.maps, files.index, size, device, sides)
        views = Pictures(_views(folder, files, size, space))
        cameras = shown_outside_test(index, "map", sides)
        named = PictureFiles(folder, files.views, files.textures, of_camera)
        return LoadedSet(
            device, views, textures, masks, maps, None, index, None, None, cameras, named
        )
    index = files.index
    cameras = shown_outside_test(index, "map", sides)
    maps, _ = read_maps(folder, files.maps, size, device, cameras)
    _, texture, _, _, plate = index.unbind(dim=1)
    composed = cache_if_small(Composed(plates, whole), texture, plate, space)
    paints = digests.of_stack(whole, torch.arange(len(whole)))  # they may be freed after this
    kept = _kept(train_textures(index, sides.train), whole, textures, plates)
    return LoadedSet(device, composed, textures, masks, maps, plates, index, paints, kept, cameras)


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
    folder: Path, files: FileTable, size: int, space: MemoryBudget, sides: Sides
) -> tuple[FileTable, Plates | None]:
    """The set's plates, and ``files`` with the cameras that only the test side shows at the end.

    There are none unless every record has a plate and all plates are for this size. ``files`` is
    then unchanged.
    """
    known = [(plate, uv) for plate, uv in files.plates if plate is not None and uv is not None]
    if len(known) < len(files.plates):
        return files, None
    groups = (sides.train + sides.val, sides.test)
    maps, pairs = (order_of(files.index, name, groups) for name in ("map", "plate"))
    plates = read_plates(folder, [known[k] for k in pairs], size, space.device)
    if plates is None:
        return files, None
    space.left -= plates.nbytes
    index = files.index.clone()
    for name, order in (("map", maps), ("plate", pairs)):
        index[:, COLUMNS.index(name)] = renumbered(index[:, COLUMNS.index(name)], order)
    ordered = replace(
        files,
        maps=[files.maps[k] for k in maps],
        plates=[files.plates[k] for k in pairs],
        index=index,
    )
    return ordered, plates


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
