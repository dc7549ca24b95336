"""Brings the views of a camera together: to one place, and to one exposure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from uvtex.data import pictures
from uvtex.data.manifest import Record
from uvtex.errors import DataError
from uvtex.imaging.map_estimation.changing import odd_views
from uvtex.imaging.map_estimation.exposure import ERROR, Still, exposures, levelled
from uvtex.imaging.registration.shots import Scene, register
from uvtex.imaging.registration.similarity import brought_back, picture_back
from uvtex.intake.map_finding.camera_views import CameraViews, resized


class Offset(NamedTuple):
    """How a view differs from what the map is of."""

    move: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)
    """How it lies off, as :mod:`uvtex.imaging.registration.similarity` tells it."""
    exposure: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """Logarithms of red, green and blue light over the usual ones."""


@dataclass(frozen=True)
class Alignment:
    """How the views of a camera lie off its map."""

    scene: Scene | None
    """What all training views show. None where the camera stood still."""
    still: Still | None
    """What does not change between the liveries. None where the exposure is the same."""
    known: Mapping[str, Offset]
    """File of a training view -> its offset."""

    def of(self, folder: Path, record: Record) -> Offset:
        """The offset of a view. That of a view from which the map was not found is measured."""
        if record.view in self.known:
            return self.known[record.view]
        if self.scene is None and self.still is None:
            return Offset()
        try:
            view = _planes(pictures.read_rgb(folder / record.view))
        except DataError:
            return Offset()
        move, exposure = torch.zeros(4), torch.zeros(3)
        if self.still is not None:
            exposure = self.still.exposure_of(view)
        if self.scene is not None:
            move = self.scene.move_of(levelled(view, exposure) if exposure.any() else view)
        return _offset(move, exposure)


def aligned(views: CameraViews, folder: Path) -> tuple[CameraViews, Alignment]:
    """``views`` of the set in ``folder``, brought to one place and one exposure, and how.

    They are brought there by what does not change. Views of another car or place are left out.

    Raises:
        DataError: a file of a view can no longer be read.
    """
    views, exposure, still = _levelled(views)
    moves, scene = register(views.views)
    together = torch.stack([_back(*pair) for pair in zip(views.views, moves, strict=True)])
    if odd := odd_views(together):
        kept = [k for k in range(len(moves)) if k not in odd]
        for number in reversed(odd):
            views = views.without(number, "it does not show what the others of this camera show")
        exposure = exposure[kept]
        moves, scene = register(views.views)
    moved = moves.any(dim=1)
    if moved.any():
        views = _together(views, folder, moves, exposure)
    known = {
        name: _offset(*offset) for name, *offset in zip(views.files, moves, exposure, strict=True)
    }
    return views, Alignment(scene if moved.any() else None, still, known)


def _together(views: CameraViews, folder: Path, moves: Tensor, exposure: Tensor) -> CameraViews:
    """The views, brought back from where ``moves`` [L, 4] says they lie."""
    size = views.views.shape[-2], views.views.shape[-1]
    parts = []
    for view, file, move, gains in zip(views.views, views.files, moves, exposure, strict=True):
        if move.any():
            # At the file's own size, so that interpolation does not blur by a pixel of the map.
            back = picture_back(pictures.read_rgb(folder / file), move)
            view = levelled(_planes(resized(back, size)), gains)
        parts.append(view)
    off, growth = moves[:, :2].norm(dim=1) * max(size) / 2, moves[:, 2].expm1().abs()
    turn = moves[:, 3].abs().rad2deg()
    scaled = f", resized by up to {float(growth.max()):.1%}" if growth.max() > 0.001 else ""
    turned = f", turned by up to {float(turn.max()):.1f} degrees" if turn.max() > 0.1 else ""
    note = (
        f"the camera did not stand still: {int(moves.any(dim=1).sum())} of {len(moves)} views "
        f"were moved by up to {off.max():.1f} of {max(size)} pixels{scaled}{turned}"
    )
    return replace(views, views=torch.stack(parts), notes=[*views.notes, note], resampled=True)


def _levelled(views: CameraViews) -> tuple[CameraViews, Tensor, Still | None]:
    """``views`` at one exposure, the logarithms of theirs [L, 3], and what does not change."""
    found, still = exposures(views.views)
    if still is None:
        return views, found, None
    parts = [levelled(*pair) for pair in zip(views.views, found, strict=True)]
    changed = int(found.any(dim=1).sum())
    note = (
        f"the exposure differs: {changed} of {len(found)} views were brought to that of the middle "
        f"one, by up to {float(found.abs().max().expm1()):.0%}"
    )
    error = math.hypot(views.brightness_error, ERROR)
    notes = [*views.notes, note]
    same = replace(views, views=torch.stack(parts), brightness_error=error, notes=notes)
    return same, found, still


def _back(view: Tensor, move: Tensor) -> Tensor:
    """A view, uint8 [3, h, w], brought back from where ``move`` [4] says it lies: likewise."""
    return brought_back(view[None].float(), move[None])[0].round().to(torch.uint8)


def _planes(picture: np.ndarray) -> Tensor:
    return torch.from_numpy(picture.copy()).permute(2, 0, 1)


def _offset(move: Tensor, exposure: Tensor) -> Offset:
    right, down, grows, turn = move.tolist()
    red, green, blue = exposure.tolist()
    return Offset((right, down, grows, turn), (red, green, blue))
