"""A car's template: the constant texels of its texture, laid over procedural liveries.

Glass, lamps, the interior and the gutters between the panels are the same in every real livery.
Livery editors show them as a layer over the paint. Procedural liveries need the same layer to look
like real ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from uvtex.data.pictures import read_rgb, read_rgba, resized
from uvtex.errors import DataError
from uvtex.imaging.constant_texels import ALIKE
from uvtex.showroom.liveries.files import find

FINE = 1024
"""Smallest side at which liveries are compared: resizing mixes constant and painted texels."""


@dataclass(frozen=True)
class Template:
    """A layer of constant texels over the paint."""

    colour: NDArray[np.float32]  # [S, S, 3] sRGB, 0 to 255
    share: NDArray[np.float32]  # [S, S, 1] in [0, 1], opacity

    def over(self, livery: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """``livery`` [S, S, 3], sRGB, with this layer over it."""
        mixed = self.colour * self.share + livery * (1 - self.share)
        return np.asarray(np.round(mixed), dtype=np.uint8)


def read(path: Path, size: int) -> Template:
    """The template in ``path`` for textures of ``size`` texels a side.

    Args:
        path: a picture that is transparent where liveries are painted, or a folder of liveries.
            The template of a folder is every texel that is the same in all its liveries.

    Raises:
        DataError: ``path`` is missing or broken, or the template covers all texels or none.
    """
    return _common(path, size) if path.is_dir() else _layer(path, size)


def _layer(path: Path, size: int) -> Template:
    layer = _of(read_rgba(path, size))
    if layer.share.min() == 1:
        raise DataError(
            f"{path}: is opaque everywhere, so it would hide all paint; make the painted area "
            "transparent, or give a folder of liveries"
        )
    if layer.share.max() == 0:
        raise DataError(f"{path}: is transparent everywhere; leave --template out")
    return layer


def _common(folder: Path, size: int) -> Template:
    liveries = find(folder)
    if len(liveries) < 2:
        raise DataError(f"{folder}: holds one livery; a template needs two or more to compare")
    side = max(size, FINE)
    low, high = np.full((side, side, 3), 255, np.uint8), np.zeros((side, side, 3), np.uint8)
    for path in liveries.values():
        picture = read_rgb(path, side)
        np.minimum(low, picture, out=low)
        np.maximum(high, picture, out=high)
    alike = (high - low <= ALIKE).all(axis=2, keepdims=True)
    if alike.all() or not alike.any():
        what = "are identical" if alike.all() else "have no texel in common"
        raise DataError(
            f"{folder}: its {len(liveries)} liveries {what}; give others, or a picture that is "
            "transparent where liveries are painted"
        )
    middle = (low + high.astype(np.uint16)) // 2
    return _of(resized(np.concatenate([middle, alike * 255], axis=2).astype(np.uint8), size))


def _of(rgba: NDArray[np.uint8]) -> Template:
    layer = rgba.astype(np.float32)
    return Template(layer[..., :3], layer[..., 3:] / np.float32(255))
