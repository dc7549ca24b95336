"""The split of a set's records into training, validation and test, by livery or by sample.

With a split by livery, no livery is on two sides. Training sees the first side only. Validation
chooses epochs, prunes and guides the search. The test side is read by nothing but
``uvtex evaluate --split test`` and by :mod:`uvtex.evaluation.test_side`.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from typing import Literal, NamedTuple

from uvtex.errors import DataError

Split = Literal["train", "val", "test", "all"]
"""One side of a split, or ``all`` the records."""


class Sides(NamedTuple):
    """The indices of the records of each side, all ascending."""

    train: list[int]
    val: list[int]
    test: list[int]
    """Empty where the test side's share is 0."""

    def of(self, split: Split) -> list[int]:
        """The records of one side, or all of them."""
        if split == "all":
            return sorted(record for side in self for record in side)
        side: list[int] = getattr(self, split)
        return side


def split(
    liveries: Sequence[str], by: str, fraction: float, seed: int, test_fraction: float = 0.0
) -> Sides:
    """The three sides. They are a function of the arguments.

    The validation side does not depend on ``test_fraction``: the test side is drawn from what
    validation leaves, so only training gets smaller.

    Args:
        liveries: each record's livery.
        by: ``livery`` or ``sample``. ``sample`` is the original's split, which leaks: augmentations
            of one livery are then on several sides.
        fraction: share of the liveries or samples that validate, in (0, 1). At least one validates.
        seed: seed of the choice.
        test_fraction: share that is kept for the test, in [0, 1 - fraction). At least one is kept,
            unless the share is 0.

    Raises:
        DataError: there are too few liveries or samples for each side to have one.
    """
    units = list(liveries) if by == "livery" else [str(i) for i in range(len(liveries))]
    names = sorted(set(units))
    if len(names) < 2:
        raise DataError(
            f"a split by {by} needs at least two, and the set has {len(names)}; add more, one side "
            "of the split would be empty"
        )
    count = min(max(1, round(fraction * len(names))), len(names) - 1)
    val = set(random.Random(f"split/{seed}").sample(names, count))
    rest = [name for name in names if name not in val]
    test = set[str]()
    if test_fraction > 0:
        if len(rest) < 2:
            raise DataError(_too_few(len(names), by, fraction, test_fraction))
        count = min(max(1, round(test_fraction * len(names))), len(rest) - 1)
        test = set(random.Random(f"split/{seed}/test").sample(rest, count))
    side = {**dict.fromkeys(rest, 0), **dict.fromkeys(val, 1), **dict.fromkeys(test, 2)}
    sides = Sides([], [], [])
    for record, unit in enumerate(units):
        sides[side[unit]].append(record)
    return sides


def _too_few(there: int, by: str, fraction: float, test_fraction: float) -> str:
    """Why a set cannot have three sides, and what it would take."""
    shares = (1 - fraction - test_fraction, fraction, test_fraction)
    smallest = max(min(shares), 1e-9)
    needed = math.ceil(round(1 / smallest, 6))  # the smallest share is then one whole unit
    units = {"livery": "liveries", "sample": "samples"}[by]
    parts = ", ".join(f"{share:.3g}" for share in shares)
    return (
        f"a split by {by} into training, validation and test ({parts}) needs {needed} {units}, one "
        f"for the smallest side, and the set has {there}; add more, or set test_split to 0: the "
        "run then has no test side"
    )
