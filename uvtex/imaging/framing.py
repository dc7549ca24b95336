"""How much of a picture the car takes, and the square of a photo that shows it as training did.

A network that has only seen cars of a certain size in the picture, in its middle, makes little of
one that is small or off to the side. What training showed is read off its masks and kept in the
checkpoint; a photo that is framed otherwise is cropped, or padded, to it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from pydantic import BaseModel, ConfigDict
from scipy import ndimage

SPECK = 0.01
"""Parts smaller than this share of the mask do not stretch its box."""
PLAY = 0.1
"""By how much of the usual size a car may be outside the training's range and be left alone."""


class Range(BaseModel):
    """Least, median and largest of what training showed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    least: float
    usual: float
    most: float


class Framing(BaseModel):
    """The car's box in training's views, in shares of their side."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    size: Range
    """Of the box's longer side."""
    x: Range
    """Of its middle, from the left."""
    y: Range
    """Of its middle, from the top."""


@dataclass(frozen=True)
class Box:
    """A rectangle in a picture's pixels, right and bottom exclusive; it may reach outside."""

    left: float
    top: float
    right: float
    bottom: float

    @property
    def side(self) -> float:
        """The longer one."""
        return max(self.right - self.left, self.bottom - self.top)

    @property
    def middle(self) -> tuple[float, float]:
        """x and y."""
        return (self.left + self.right) / 2, (self.top + self.bottom) / 2

    def scaled(self, factor: float) -> Box:
        """The same in a picture ``factor`` times as large."""
        return Box(*(factor * v for v in (self.left, self.top, self.right, self.bottom)))


def box_of(mask: np.ndarray) -> Box | None:
    """The box around a mask, bool [H, W], specks left out; None for an empty one."""
    parts, _ = ndimage.label(mask)
    sizes = np.bincount(parts.ravel())
    sizes[0] = 0
    if not sizes.any():
        return None
    kept = (sizes >= SPECK * sizes.sum())[parts]
    rows, columns = np.flatnonzero(kept.any(axis=1)), np.flatnonzero(kept.any(axis=0))
    return Box(int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1)


def framing_of(masks: Iterable[np.ndarray]) -> Framing | None:
    """What square masks, bool [S, S], show of the framing; None if all are empty."""
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
    """The square around a whole picture, the picture in its middle."""
    side = max(width, height)
    left, top = (width - side) // 2, (height - side) // 2
    return Box(left, top, left + side, top + side)


def framed(width: int, height: int, car: Box, framing: Framing) -> Box:
    """The square that shows ``car``, a box in the picture, as ``framing`` says.

    The whole picture, padded, if that is within what training showed; else a square in which the
    car has training's usual size and place.
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
