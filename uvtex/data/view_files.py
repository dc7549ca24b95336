"""Reads a set's views one by one. A view without a file is composed from its plate.

Reports, masks and imports use this module. Training composes batches on its device from the same
plates: see :mod:`uvtex.data.storage.views`.
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
"""Number of plates kept in memory.

A plate takes 6 MB at 256 px with three samples along a pixel's side.
"""


@dataclass(frozen=True)
class ViewFile:
    """The files of a view: its picture, and its texture, UV map and plate."""

    view: Path
    """The view's picture. The file may be absent if there are a ``uv_map`` and a ``plate``."""
    texture: Path
    uv_map: Path | None = None
    plate: Path | None = None

    @classmethod
    def of(cls, folder: Path, record: Record) -> ViewFile:
        """The files of ``record``, of the set in ``folder``."""
        uv_map = None if record.uv_map is None else folder / record.uv_map
        plate = None if record.plate is None else folder / record.plate
        return cls(folder / record.view, folder / record.texture, uv_map, plate)

    @property
    def composed(self) -> bool:
        """Whether the view must be composed: it has a plate and a UV map, but no picture file."""
        return self.plate is not None and self.uv_map is not None and not self.view.is_file()


class ViewReader:
    """Reads views. It keeps the last plates, because many views share one plate."""

    def __init__(self) -> None:
        self._plate = lru_cache(maxsize=KEPT)(_read_plate)

    def read(self, shot: ViewFile) -> np.ndarray:
        """The view, uint8 [H, W, 3]. A composed view equals the picture that a build would write.

        Raises:
            DataError: a file cannot be read, or the view has neither a picture nor a plate.
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
            DataError: the plate or the UV map is broken, or their sizes do not match.
        """
        height, width = self._plate(shot.plate, shot.uv_map)[1].shape[:2]
        return width, height


def _read_plate(plate: Path | None, uv_map: Path | None) -> Plate:
    """``uv``, ``falling`` and ``reflected``, arguments of :func:`uvtex.imaging.compose.compose`.

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
