"""The choice of the two views of a pair."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence


class Partners:
    """The partner of each sample: another view of the same livery on the same side of the split.

    Args:
        liveries: each record's livery.
        sides: the records of each side, ascending.
    """

    def __init__(self, liveries: Sequence[str], sides: Iterable[Sequence[int]]) -> None:
        groups: dict[tuple[int, str], list[int]] = {}
        for number, side in enumerate(sides):
            for i in side:
                groups.setdefault((number, liveries[i]), []).append(i)
        self._group = {i: group for group in groups.values() for i in group}

    def first(self, sample: int) -> int:
        """The first record that may be a partner of ``sample``, or ``sample`` itself."""
        return self._group[sample][0]

    def more(self, sample: int, partner: int, count: int, key: str) -> list[int]:
        """``count`` further views of the livery of ``sample``, a function of ``key``.

        They are neither ``sample`` nor ``partner``, and different from each other, as far as the
        livery has so many views. Then they repeat.
        """
        group = self._group[sample]
        others = [i for i in group if i not in (sample, partner)] or list(group)
        random.Random(f"{key}/more/{sample}").shuffle(others)
        return [others[i % len(others)] for i in range(count)]

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
