"""Framing: the size and position of the car in a picture, and the crop of a photo.

A network trained on cars of a certain size in the middle of the picture performs badly on a small
or off-centre car. The masks of the training views give the framing of the training set. The
checkpoint stores this framing. A photo with another framing is cropped or padded to match it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from pydantic import BaseModel, ConfigDict

SPECK = 0.01
"""Least size of a mask part, as a fraction of the mask. The box ignores smaller parts."""
PLAY = 0.1
"""Tolerance around the training range, as a fraction of the median size."""


class Range(BaseModel):
    """Minimum, median and maximum of a quantity in the training set."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    least: float
    usual: float
    most: float


class Framing(BaseModel):
    """The car's bounding box in the training views, in fractions of the view's side."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    size: Range
    """Length of the box's longer side."""
    x: Range
    """Distance of the box's centre from the left edge."""
    y: Range
    """Distance of the box's centre from the top edge."""


@dataclass(frozen=True)
class Box:
    """A rectangle in pixels of a picture. ``right`` and ``bottom`` are exclusive.

    The rectangle may extend beyond the picture.
    """

    left: float
    top: float
    right: float
    bottom: float

    @property
    def side(self) -> float:
        """Length of the longer side."""
        return max(self.right - self.left, self.bottom - self.top)

    @property
    def middle(self) -> tuple[float, float]:
        """The centre, x and y."""
        return (self.left + self.right) / 2, (self.top + self.bottom) / 2

    def scaled(self, factor: float) -> Box:
        """The same box in a picture that is ``factor`` times as large."""
        return Box(*(factor * v for v in (self.left, self.top, self.right, self.bottom)))


def box_of(mask: np.ndarray) -> Box | None:
    """The bounding box of a mask, bool [H, W], without specks. None for an empty mask."""
    from scipy import ndimage  # a checkpoint's header is read without

    parts, _ = ndimage.label(mask)
    sizes = np.bincount(parts.ravel())
    sizes[0] = 0
    if not sizes.any():
        return None
    kept = (sizes >= SPECK * sizes.sum())[parts]
    rows, columns = np.flatnonzero(kept.any(axis=1)), np.flatnonzero(kept.any(axis=0))
    return Box(int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1)


def framing_of(masks: Iterable[np.ndarray]) -> Framing | None:
    """The framing in square masks, bool [S, S] each. None if all masks are empty."""
    rows = [
        np.array([box.side, *box.middle]) / len(mask)
        for mask in masks
        if (box := box_of(mask)) is not None
    ]
    if not rows:
        return None
    table = np.stack(rows)
    size, x, y = (
        Range(least=float(column.min()), usual=float(np.median(column)), most=float(column.max()))
        for column in table.T
    )
    return Framing(size=size, x=x, y=y)


def padded(width: int, height: int) -> Box:
    """The square around a whole picture, with the picture at its centre."""
    side = max(width, height)
    left, top = (width - side) // 2, (height - side) // 2
    return Box(left, top, left + side, top + side)


def framed(width: int, height: int, car: Box, framing: Framing) -> Box:
    """The square crop that shows ``car``, a box in the picture, with the framing ``framing``.

    The crop is the whole padded picture if the car's size and position there are within the
    training range and its tolerance. Otherwise the car has the median size and position of the
    training set in the crop.
    """
    whole = padded(width, height)
    x, y = (car.middle[0] - whole.left) / whole.side, (car.middle[1] - whole.top) / whole.side
    play = PLAY * framing.size.usual
    shown = ((car.side / whole.side, framing.size), (x, framing.x), (y, framing.y))
    if all(known.least - play <= value <= known.most + play for value, known in shown):
        return whole
    side = car.side / framing.size.usual
    left = car.middle[0] - framing.x.usual * side
    top = car.middle[1] - framing.y.usual * side
    return Box(left, top, left + side, top + side)
