"""Brings the views of a camera together: to one place, and to one exposure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from uvtex.data import pictures
from uvtex.data.manifest import Record
from uvtex.errors import DataError
from uvtex.imaging.map_estimation import registration
from uvtex.imaging.map_estimation.changing import odd_views
from uvtex.imaging.map_estimation.exposure import ERROR, Still, exposures, levelled
from uvtex.imaging.map_estimation.registration import (
    displacement,
    edge_reference,
    move_between,
    moved,
    register,
)
from uvtex.intake.map_finding.camera_views import CameraViews


class Offset(NamedTuple):
    """How a view differs from what the map is of."""

    right: float
    """Shift to the right, as a share of the width."""
    down: float
    """Likewise, of the height."""
    growth: float
    """The scale about the middle of the picture, less 1."""
    exposure: tuple[float, float, float]
    """Logarithms of red, green and blue light over the usual ones."""


STILL = Offset(0.0, 0.0, 0.0, (0.0, 0.0, 0.0))
"""The offset of a view that needs no change."""


@dataclass(frozen=True)
class Alignment:
    """How the views of a camera lie off its map."""

    reference: Tensor | None
    """complex [h, w]: the edges that all training views have. None where the camera stood still."""
    still: Still | None
    """What does not change between the liveries. None where the exposure is the same."""
    known: Mapping[str, Offset]
    """File of a training view -> its offset."""

    def of(self, folder: Path, record: Record) -> Offset:
        """The offset of a view. That of a view from which the map was not found is measured."""
        if record.view in self.known:
            return self.known[record.view]
        if self.reference is None and self.still is None:
            return STILL
        try:
            view = pictures.read_rgb(folder / record.view)
        except DataError:
            return STILL
        move = torch.zeros(3)
        size = view.shape[:2]
        if self.reference is not None:
            height, width = size = self.reference.shape
            picture = Image.fromarray(view).resize((width, height), Image.Resampling.BOX)
            found = move_between(self.reference, _planes(np.asarray(picture)))
            if displacement(found, size) > registration.STILL:
                move = found
        exposure = torch.zeros(3) if self.still is None else self.still.exposure_of(_planes(view))
        return _offset(move, size, exposure)


def aligned(views: CameraViews) -> tuple[CameraViews, Alignment]:
    """``views``, brought to one place and one exposure by what does not change, and how.

    Views of another car or place are left out.
    """
    views, exposure, still = _levelled(views)
    moves = register(views.views)
    if odd := odd_views(_moved(views.views, moves)):
        kept = [k for k in range(len(moves)) if k not in odd]
        for number in reversed(odd):
            views = views.without(number, "it does not show what the others of this camera show")
        exposure, moves = exposure[kept], register(views.views)
    reference = None
    size = views.views.shape[-2:]
    if moves.any():
        together = _moved(views.views, moves)
        off, growth = moves[:, :2].norm(dim=1), moves[:, 2].abs()
        scaled = f" and resized by up to {float(growth.max()):.1%}" if growth.any() else ""
        note = (
            f"the camera did not stand still: {int(moves.any(dim=1).sum())} of {len(moves)} views "
            f"were moved by up to {off.max():.1f} of {max(size)} pixels{scaled}"
        )
        views = replace(views, views=together, notes=[*views.notes, note], resampled=True)
        reference = edge_reference(together)
    known = {
        name: _offset(move, size, gains)
        for name, move, gains in zip(views.files, moves, exposure, strict=True)
    }
    return views, Alignment(reference, still, known)


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


def _moved(views: Tensor, moves: Tensor) -> Tensor:
    """The views, uint8 [L, 3, h, w], brought back from where ``moves`` [L, 3] says they lie."""
    together = [moved(*pair).round().to(torch.uint8) for pair in zip(views, moves, strict=True)]
    return torch.stack(together)


def _planes(picture: np.ndarray) -> Tensor:
    return torch.from_numpy(picture.copy()).permute(2, 0, 1)


def _offset(move: Tensor, size: Sequence[int], exposure: Tensor) -> Offset:
    """The offset of a view of a size (h, w) that lies off by ``move``."""
    right, down, growth = move.tolist()
    red, green, blue = exposure.tolist()
    return Offset(right / size[1], down / size[0], growth, (red, green, blue))
