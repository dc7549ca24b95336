"""Writes what was found: maps, masks, and the set's pictures beside them."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from uvtex.data import pictures
from uvtex.data.manifest import Record
from uvtex.files import npz, png, write_atomic
from uvtex.imaging.map_estimation.estimate import MapEstimate
from uvtex.imaging.map_estimation.exposure import levelled
from uvtex.imaging.registration.similarity import picture_back
from uvtex.imaging.uv_maps import USED, array_names
from uvtex.intake.map_finding.alignment import Offset


class MapFiles(NamedTuple):
    """The files of a camera's map, as the manifest names them."""

    uv_map: str
    mask: str


def write_map(
    target: Path, name: str, found: MapEstimate, others: Mapping[float, MapEstimate]
) -> MapFiles:
    """Writes the map and the mask of a camera into the set ``target``.

    The map's file has ``uv``, and beside it ``confidence`` [h, w] in [0, 1], and the light
    ``falling`` and ``reflected`` [h, w, 3] as a plate's file has them.

    Args:
        others: maps of other stiffness, by it. The file has their ``uv`` and ``confidence`` under
            the names of :func:`array_names`. They have the same mask.
    """
    files = MapFiles(f"uv_maps/{name}.npz", f"masks/{name}.png")
    for file in files:
        (target / file).parent.mkdir(exist_ok=True)
    light = found.light.half().numpy()
    arrays = {"falling": light[..., :3], "reflected": light[..., 3:]}
    every: list[tuple[float | None, MapEstimate]] = [(None, found), *others.items()]
    for stiffness, estimate in every:
        uv, confidence = array_names(stiffness)
        arrays[uv] = finer(estimate).numpy()
        arrays[confidence] = estimate.confidence.half().numpy()
    content = npz(**arrays)
    write_atomic(target / files.uv_map, content)
    painted = torch.isfinite(found.uv[..., 0]).numpy()
    write_atomic(target / files.mask, png((painted * 255).astype(np.uint8)))
    return files


def finer(found: MapEstimate) -> Tensor:
    """The UV map with three samples along each side of a pixel: float32 [3 * h, 3 * w, 2].

    It is NaN where the confidence, as it is written, is below USED.
    """
    height, width = found.confidence.shape
    unknown = found.confidence.half() < USED
    at = found.samples.clamp(0, 1).masked_fill(unknown[..., None, None], torch.nan)
    parts = at.view(height, width, 3, 3, 2).permute(0, 2, 1, 3, 4)
    return parts.reshape(3 * height, 3 * width, 2)


def write_record(
    folder: Path, target: Path, record: Record, files: MapFiles, offset: Offset
) -> Record:
    """The record in the set ``target``. Its texture is copied.

    Its view is copied, or brought to the map's place and exposure.
    """
    view = _place(folder, target, record.view)
    if offset != Offset():
        if not view.lower().endswith(".png"):
            view += ".png"  # a.jpg may stand beside a.png
        _write_aligned(folder / record.view, target / view, offset)
    else:
        _copy(folder / record.view, target / view)
    texture = _place(folder, target, record.texture)
    _copy(folder / record.texture, target / texture)
    return Record(
        view=view,
        livery=record.livery,
        texture=texture,
        mask=files.mask,
        uv_map=files.uv_map,
        camera=record.camera,
    )


def _place(folder: Path, target: Path, name: str) -> str:
    """A path that stays inside the set, for a file that does so by its manifest."""
    root = os.path.realpath(folder)
    relative = os.path.relpath(os.path.join(root, name), root)
    (target / relative).parent.mkdir(parents=True, exist_ok=True)
    return Path(relative).as_posix()


def _copy(source: Path, place: Path) -> None:
    if not place.exists():
        shutil.copyfile(source, place)


def _write_aligned(source: Path, place: Path, offset: Offset) -> None:
    picture = pictures.read_rgb(source)
    if any(offset.move):
        picture = picture_back(picture, torch.tensor(offset.move))
    planes = torch.from_numpy(picture.copy()).permute(2, 0, 1)
    same = levelled(planes, torch.tensor(offset.exposure))
    Image.fromarray(same.permute(1, 2, 0).contiguous().numpy()).save(place)
