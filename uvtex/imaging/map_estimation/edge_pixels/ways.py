"""The ways in which the planes around a pixel may explain it."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from uvtex.imaging.map_estimation.footprints import SAMPLES
from uvtex.imaging.map_estimation.pixel_grid import rightwards

SIDES = ((0, -1), (-1, 0), (-1, -1), (-1, 1), (0, 1), (1, 0), (1, 1), (1, -1))
"""Offsets (down, right) of the sides. The second half are the opposites of the first."""
STEPS = 3
"""Number of pixels on each side whose planes are continued."""
OWN = len(SIDES) * STEPS
"""The number of a pixel's own plane, after those of its sides."""
SLOPES = 16
"""Number of slopes that its own plane is tried with. The first is the map's."""
PLANES = OWN + SLOPES
PRICE, SLOPE_PRICE, BORDER_PRICE = 6.0, 3.0, 0.0
"""The log evidence by which a divided pixel must be better, another slope, and a part without paint
on the side of a pixel that shows none."""


class Ways(NamedTuple):
    """W ways to explain a pixel. The first is its own plane."""

    first: Tensor  # int64 [W]: the plane of the samples in `mask`
    second: Tensor  # int64 [W]: that of the others, where `two`
    mask: Tensor  # bool [W, 9]
    two: Tensor  # bool [W]: the others show a place. Otherwise they show no paint
    price: Tensor  # float [W]
    opposite: Tensor  # int64 [W]: the number in SIDES of the side of the others; 0 for whole pixels
    weights: Tensor  # float [W, PLANES, 9]: the share of each sample of each plane in the colour

    def prices(self, there: Tensor) -> Tensor:
        """The price of each way, float [P, W].

        Args:
            there: bool [P, N]: whether the pixel at each of SIDES, and more, changes.
        """
        border = ~self.two & ~self.mask.all(dim=1) & ~there[:, self.opposite]
        return torch.where(border, BORDER_PRICE, self.price)


def every_way() -> Ways:
    """The pixel as a whole, each side's planes with no paint beside them, and pairs of sides."""
    away = rightwards(SIDES) @ SAMPLES.T
    halves = torch.stack([away > 0.1, away > -0.1], dim=1)  # [8, 2, 9]: three and six samples
    every = torch.ones(9, dtype=torch.bool)
    found = [(plane, -1, every, SLOPE_PRICE * (plane > OWN), 0) for plane in range(OWN, PLANES)]
    sides = len(SIDES)
    for side in range(sides):
        planes, away_from = range(side, OWN, sides), (side + sides // 2) % sides
        found += [
            (plane, -1, half, PRICE, away_from) for plane in (*planes, OWN) for half in halves[side]
        ]
        # The larger part comes first.
        others = range(away_from, OWN, sides)
        found += [(one, two, halves[side, 1], PRICE, away_from) for one in planes for two in others]
    first, second, masks, price, opposite = zip(*found, strict=True)
    mask, two = torch.stack(masks), torch.tensor(second) >= 0
    weights = torch.zeros(len(found), PLANES, 9)
    way = torch.arange(len(found))
    weights[way, torch.tensor(first)] += mask.float()
    weights[way, torch.tensor(second)] += (~mask & two[:, None]).float()
    weights = weights / weights.sum(dim=(1, 2), keepdim=True)
    return Ways(
        torch.tensor(first),
        torch.tensor(second),
        mask,
        two,
        torch.tensor(price),
        torch.tensor(opposite),
        weights,
    )
