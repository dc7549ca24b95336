"""Which records validate: by livery, so that no livery is on both sides, or by sample."""

from __future__ import annotations

import random
from collections.abc import Sequence

from uvtex.errors import DataError


def split(
    liveries: Sequence[str], by: str, fraction: float, seed: int
) -> tuple[list[int], list[int]]:
    """Indices of training and of validation records, both ascending; a function of its arguments.

    Args:
        liveries: each record's livery.
        by: ``livery`` or ``sample`` (the original's, which leaks: augmentations of one livery
            then lie on both sides).
        fraction: of the liveries or samples that validates, in (0, 1); at least one does.

    Raises:
        DataError: too few to leave one on each side.
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
