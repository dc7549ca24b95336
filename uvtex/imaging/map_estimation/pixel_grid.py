"""The pixels of a picture that are to be explained, and their neighbours among them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
import torch.nn.functional as F
from torch import Tensor

CROSS = ((0, 1), (0, -1), (1, 0), (-1, 0))
"""Offsets (down, right) of the four nearest pixels: right, left, below, above."""
OPPOSITE = (1, 0, 3, 2)
"""For each offset of CROSS, the number of the opposite one."""
NEAREST = ((-1, -1), (-1, 0), (-1, 1), (0, -1), (0, 1), (1, -1), (1, 0), (1, 1))
"""Offsets (down, right) of the eight pixels around."""
WINDOW = tuple(
    (down, right) for down in range(-2, 3) for right in range(-2, 3) if (down, right) != (0, 0)
)
"""Offsets (down, right) of the other pixels of a window of 5 by 5."""

RING = ((0, 2), (0, -2), (2, 0), (-2, 0), (1, 1), (1, -1), (-1, 1), (-1, -1))
"""Offsets (down, right) of pixels around, from which a pixel's plane may continue."""

WIDE = 3
"""Reach of the window of `widely`, in pixels of a picture of 64."""


@dataclass(frozen=True)
class PixelGrid:
    """P chosen pixels of a picture, in row order."""

    chosen: Tensor  # bool [h, w]

    @cached_property
    def points(self) -> Tensor:
        """Row and column of each pixel, int64 [P, 2]."""
        return self.chosen.nonzero()

    @cached_property
    def number(self) -> Tensor:
        """The number of each pixel, int64 [h, w]; -1 where it was not chosen."""
        number = torch.full(self.chosen.shape, -1)
        number[self.chosen] = torch.arange(len(self.points))
        return number

    def neighbours(
        self, offsets: Sequence[tuple[int, int]], pixels: Tensor | None = None
    ) -> Tensor:
        """The numbers of the pixels at ``offsets``, int64 [P, N]; -1 where there is none.

        Args:
            pixels: numbers of the pixels whose neighbours are wanted; all by default.
        """
        reach = max(max(abs(down), abs(right)) for down, right in offsets)
        number = F.pad(self.number, (reach, reach, reach, reach), value=-1)
        width = number.shape[1]
        row, column = (self.points if pixels is None else self.points[pixels]).unbind(dim=1)
        first = (row + reach) * width + column + reach
        return number.take(first[:, None] + torch.tensor([d * width + r for d, r in offsets]))

    def picture(self, values: Tensor, empty: float) -> Tensor:
        """``values`` [P, ...] as a picture [h, w, ...], ``empty`` elsewhere."""
        shape = (*self.chosen.shape, *values.shape[1:])
        picture = torch.full(shape, empty, dtype=values.dtype)
        picture[self.chosen] = values
        return picture


def rightwards(offsets: Sequence[tuple[int, int]]) -> Tensor:
    """``offsets`` (down, right) as vectors x, y, float [N, 2]."""
    return torch.tensor([(float(right), float(down)) for down, right in offsets])


def widely(values: Tensor, grid: PixelGrid) -> Tensor:
    """Means of ``values`` [P] over a window around each pixel, float [P]."""
    reach = max(1, round(WIDE * max(grid.chosen.shape) / 64))
    pictures = torch.stack([grid.picture(values, 0.0), grid.chosen.float()])[:, None]
    # Along columns, then along rows: a window of 97 by 97 pixels has 9,409.
    down = F.avg_pool2d(pictures, (2 * reach + 1, 1), 1, (reach, 0))
    sums = F.avg_pool2d(down, (1, 2 * reach + 1), 1, (0, reach))[:, 0, grid.chosen]
    return sums[0] / sums[1]
