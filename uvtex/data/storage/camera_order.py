"""The order of a set's cameras: those that only the test side shows come last."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from uvtex.data.splits import Sides
from uvtex.data.storage.loaded_set import COLUMNS


def shown_outside_test(index: Tensor, name: str, sides: Sides) -> int:
    """How many distinct values of a column have records outside the test side."""
    return len(torch.unique(index[sides.train + sides.val, COLUMNS.index(name)]))


def order_of(index: Tensor, name: str, groups: Sequence[Sequence[int]]) -> list[int]:
    """The values of a column: those of the first group's records first, then the second's..."""
    column = index[:, COLUMNS.index(name)]
    shown = [set(column[list(group)].tolist()) for group in groups]
    first = [next(g for g, those in enumerate(shown) if k in those) for k in range(_count(column))]
    return sorted(range(len(first)), key=first.__getitem__)


def _count(column: Tensor) -> int:
    return int(column.max()) + 1


def renumbered(column: Tensor, order: Sequence[int]) -> Tensor:
    """``column`` with each value replaced by its place in ``order``."""
    place = torch.empty(len(order), dtype=torch.int64)
    place[torch.tensor(order)] = torch.arange(len(order))
    return place[column]
