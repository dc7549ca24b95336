"""The choice of the two views of a pair."""

from __future__ import annotations

import random
from collections.abc import Collection, Sequence


class Partners:
    """The partner of each sample: another view of the same livery on the same side of the split.

    Args:
        liveries: each record's livery.
        val: the records that validate.
    """

    def __init__(self, liveries: Sequence[str], val: Collection[int]) -> None:
        groups: dict[tuple[bool, str], list[int]] = {}
        held = set(val)
        for i, livery in enumerate(liveries):
            groups.setdefault((i in held, livery), []).append(i)
        self._group = {i: group for group in groups.values() for i in group}

    def first(self, sample: int) -> int:
        """The first record that may be a partner of ``sample``, or ``sample`` itself."""
        return self._group[sample][0]

    def draw(self, sample: int, key: str) -> int:
        """The partner of ``sample``, a function of ``key``.

        A sample without another view is its own partner.
        """
        group = self._group[sample]
        if len(group) == 1:
            return sample
        choice = random.Random(f"{key}/{sample}").randrange(len(group) - 1)
        partner = group[choice]
        return group[-1] if partner == sample else partner
