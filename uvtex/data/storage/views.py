"""A store's views: read from pictures, or composed from plates and textures on the device."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from uvtex.data.storage.buffers import ImageStack, Indices, MemoryBudget
from uvtex.errors import DataError
from uvtex.files import read_npz
from uvtex.imaging.compose import light, linear_from_srgb
from uvtex.imaging.uv_maps import read_uv_map

SAMPLES_AT_ONCE = {"cpu": 2**20, "cuda": 2**25}
"""Number of UV samples looked up at once, by device type. A sample takes about 50 bytes.

The CPU's number fits its cache: at 256 px it takes half the time of 16 views at once. The GPU's
number keeps the GPU busy.
"""
KEPT = 64 * 2**20
"""Largest size, in bytes, of all views together at which they are composed once, at opening.

On a CPU, composing a batch of 64 px views takes about as long as training a small network on it.
"""


class Views(Protocol):
    """Views, looked up by the indices of their picture, texture and plate."""

    mapped: bool
    size: int

    def take(self, picture: Indices, texture: Indices, plate: Indices) -> Tensor:
        """The views, uint8 [B, 3, S, S]."""
        ...


class Pictures:
    """Views that were read from files."""

    def __init__(self, stack: ImageStack) -> None:
        self._stack, self.mapped, self.size = stack, stack.mapped, stack.size

    def take(self, picture: Indices, texture: Indices, plate: Indices) -> Tensor:
        return self._stack.take(picture)


@dataclass(frozen=True)
class Plates:
    """The plates of K cameras, on a device."""

    uv: Tensor  # float32 [K, S * k, S * k, 2] in [0, 1], NaN where no paint is seen
    falling: Tensor  # float16 [K, S, S, 3] linear
    reflected: Tensor  # float16 [K, S, S, 3] linear

    @property
    def size(self) -> int:
        """Side of the views, in pixels."""
        return self.falling.shape[1]

    @property
    def parts(self) -> tuple[Tensor, Tensor, Tensor]:
        """``uv``, ``falling`` and ``reflected``."""
        return self.uv, self.falling, self.reflected

    @property
    def nbytes(self) -> int:
        """Size of the three tensors, in bytes."""
        return sum(part.nbytes for part in self.parts)


class Composed:
    """Views composed on demand and rounded to 8 bits, as picture files are."""

    def __init__(self, plates: Plates, textures: ImageStack) -> None:
        self.plates, self.textures = plates, textures
        self.mapped, self.size = textures.mapped, plates.size
        self._samples = plates.uv[0, ..., 0].numel()

    def take(self, picture: Indices, texture: Indices, plate: Indices) -> Tensor:
        count = max(1, SAMPLES_AT_ONCE.get(plate.device.device.type, 2**20) // self._samples)
        return torch.cat(
            [
                self._compose(texture.part(start, count), plate.part(start, count).device)
                for start in range(0, len(texture.host), count)
            ]
        )

    def _compose(self, texture: Indices, plate: Tensor) -> Tensor:
        plates = self.plates
        paint = self.textures.take(texture).to(plates.uv.device, non_blocking=True)
        views = light(
            self._linear.index_select(0, paint.flatten().int()).view(paint.shape),
            plates.uv[plate],
            plates.falling[plate].float(),
            plates.reflected[plate].float(),
        )
        return (views * 255).round_().to(torch.uint8)

    @cached_property
    def _linear(self) -> Tensor:
        # Texels are bytes, so a table gives their linear light. Computing powers is slow.
        return linear_from_srgb(torch.arange(256, device=self.plates.uv.device) / 255)


def cache_if_small(
    composed: Composed, texture: Tensor, plate: Tensor, space: MemoryBudget
) -> Views:
    """``composed`` itself, or all its views composed now if they are small.

    Args:
        texture: int64 [N], the texture index of each view.
        plate: int64 [N], the plate index of each view.
    """
    size = composed.size
    if len(texture) * 3 * size**2 > min(KEPT, space.left):
        return composed
    device = composed.plates.uv.device
    rows = [Indices(places, places.to(device)) for places in (texture, plate)]
    everything = composed.take(rows[0], *rows)
    space.left -= everything.nbytes
    return Pictures(ImageStack(everything, device))


def read_plates(
    folder: Path, names: list[tuple[str, str]], size: int, device: torch.device
) -> Plates | None:
    """The plates of (``plate``, ``uv_map``) files. None if they are not for ``size`` pixels.

    Raises:
        DataError: a file is missing or broken, or its arrays have a wrong shape.
    """
    plates: Plates | None = None
    for k, (plate, uv_map) in enumerate(names):
        falling, reflected = read_light(folder / plate)
        if falling.shape[:2] != (size, size):
            return None
        uv = _checked(read_uv_map(folder / uv_map), size, folder / uv_map)
        plates = plates or _empty(len(names), uv.shape[0], size, device)
        if plates.uv.shape[1:] != uv.shape:
            return None
        for whole, part in zip(plates.parts, (uv, falling, reflected), strict=True):
            whole[k] = torch.from_numpy(part)
    return plates


def _empty(count: int, grid: int, size: int, device: torch.device) -> Plates:
    lights = (
        torch.empty(count, size, size, 3, dtype=torch.float16, device=device) for _ in range(2)
    )
    return Plates(torch.empty(count, grid, grid, 2, device=device), *lights)


def _checked(uv: np.ndarray, size: int, path: Path) -> np.ndarray:
    if uv.shape[0] != uv.shape[1] or uv.shape[0] % size:
        raise DataError(
            f"{path}: uv must be square and a multiple of the plate's {size} pixels, got "
            f"{list(uv.shape)}"
        )
    return uv


def read_light(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """``falling`` and ``reflected`` of a plate's file, float16 [h, w, 3] each.

    Raises:
        DataError: the file is missing, is broken, or has arrays of another shape.
    """
    names = ("falling", "reflected")
    falling, reflected = read_npz(path, *names, dtype=np.float16, what="plate")
    if falling.ndim != 3 or falling.shape[2] != 3 or falling.shape != reflected.shape:
        raise DataError(
            f"{path}: falling and reflected must be [h, w, 3] both, got {list(falling.shape)} and "
            f"{list(reflected.shape)}"
        )
    return falling, reflected
