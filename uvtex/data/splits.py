"""The split into training and validation records, by livery or by sample.

With a split by livery, no livery is on both sides.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

from uvtex.errors import DataError


def split(
    liveries: Sequence[str], by: str, fraction: float, seed: int
) -> tuple[list[int], list[int]]:
    """Indices of the training and of the validation records, both ascending.

    The split is a function of the arguments.

    Args:
        liveries: each record's livery.
        by: ``livery`` or ``sample``. ``sample`` is the original's split, which leaks: augmentations
            of one livery are then on both sides.
        fraction: share of the liveries or samples that validate, in (0, 1). At least one validates.
        seed: seed of the choice.

    Raises:
        DataError: there are fewer than two liveries or samples.
    """
    units = list(liveries) if by == "livery" else [str(i) for i in range(len(liveries))]
    names = sorted(set(units))
    if len(names) < 2:
        raise DataError(
            f"a split by {by} needs at least two, and the set has {len(names)}; add more, one side "
            "of the split would be empty"
        )
    count = min(max(1, round(fraction * len(names))), len(names) - 1)
    held = set(random.Random(f"split/{seed}").sample(names, count))
    val = [i for i, unit in enumerate(units) if unit in held]
    return [i for i, unit in enumerate(units) if unit not in held], val
