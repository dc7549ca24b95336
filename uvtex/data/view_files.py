"""A set's views as pixels, one by one: read from their files, or composed where there are none.

For those who look at a set (reports, masks, imports). Training composes batches on its device
instead, from the same plates: :mod:`uvtex.data.storage.views`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from uvtex.data import pictures
from uvtex.data.manifest import Record
from uvtex.errors import DataError
from uvtex.imaging import uv_maps

if TYPE_CHECKING:
    from torch import Tensor

    Plate = tuple[Tensor, Tensor, Tensor]

KEPT = 16
"""Plates in memory: 6 MB each at 256 px with three samples a pixel's side."""


@dataclass(frozen=True)
class ViewFile:
    """A view, and what it can be composed from."""

    view: Path
    """Need not be there if ``uv_map`` and ``plate`` are."""
    texture: Path
    uv_map: Path | None = None
    plate: Path | None = None

    @classmethod
    def of(cls, folder: Path, record: Record) -> ViewFile:
        """A record of the set in ``folder``."""
        uv_map = None if record.uv_map is None else folder / record.uv_map
        plate = None if record.plate is None else folder / record.plate
        return cls(folder / record.view, folder / record.texture, uv_map, plate)

    @property
    def composed(self) -> bool:
        """Whether it has no file, but a plate."""
        return self.plate is not None and self.uv_map is not None and not self.view.is_file()


class ViewReader:
    """Reads views; keeps the plates it used last, since many views share one."""

    def __init__(self) -> None:
        self._plate = lru_cache(maxsize=KEPT)(_read_plate)

    def read(self, shot: ViewFile) -> np.ndarray:
        """The view, uint8 [H, W, 3]: that which a build would have written, if it is composed.

        Raises:
            DataError: its file is missing without a plate, or one of its files cannot be read.
        """
        if not shot.composed:
            return pictures.read_rgb(shot.view)
        import torch

        from uvtex.imaging.compose import compose

        rgb = torch.from_numpy(pictures.read_rgb(shot.texture).copy())
        plate = self._plate(shot.plate, shot.uv_map)
        view = compose(rgb.permute(2, 0, 1)[None].float() / 255, *plate)[0]
        pixels: np.ndarray = (view * 255).round().to(torch.uint8).permute(1, 2, 0).numpy()
        return pixels

    def plate_size(self, shot: ViewFile) -> tuple[int, int]:
        """Width and height of the views that a shot's plate gives, in pixels.

        Raises:
            DataError: plate or UV map is broken, or they do not go together.
        """
        height, width = self._plate(shot.plate, shot.uv_map)[1].shape[:2]
        return width, height


def _read_plate(plate: Path | None, uv_map: Path | None) -> Plate:
    """``uv``, ``falling`` and ``reflected`` as :func:`uvtex.imaging.compose.compose` takes them.

    Raises:
        DataError: see :meth:`ViewReader.plate_size`.
    """
    import torch

    from uvtex.data.storage.views import read_light

    if plate is None or uv_map is None:
        raise DataError(f"{plate}: a plate is of no use without its UV map")
    falling, reflected = (torch.from_numpy(light).float() for light in read_light(plate))
    uv = torch.from_numpy(uv_maps.read_uv_map(uv_map))
    if uv.shape[0] % falling.shape[0] or uv.shape[1] % falling.shape[1]:
        raise DataError(
            f"{plate}: is for {falling.shape[1]}x{falling.shape[0]} pixels, of which its UV map's "
            f"{uv.shape[1]}x{uv.shape[0]} samples are no multiple ({uv_map.name})"
        )
    return uv, falling, reflected
