"""Leakage: views of validation or test that another side shows already.

Validation leaks what training shows. The test side leaks what training or validation shows, because
validation chooses epochs and schedules.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

from uvtex.data import manifest, splits
from uvtex.errors import DataError
from uvtex.inspection import duplicates
from uvtex.inspection.scan import Scan

MOST_MATCHES = 200
"""At most this many matches of each kind are listed. All are counted."""


@dataclass(frozen=True)
class Match:
    """Two near-duplicate files, one of validation and one of training."""

    val: str
    train: str
    colours: float
    """Mean difference of their colours, of 255."""
    same_livery: bool


@dataclass(frozen=True)
class MatchOfTest:
    """Two near-duplicate files, one of the test side and one of another side."""

    test: str
    other: str
    side: Literal["train", "val"]
    """The side of ``other``."""
    colours: float
    """Mean difference of their colours, of 255."""
    same_livery: bool


@dataclass(frozen=True)
class Leakage:
    """The leakage of one split."""

    by: str
    fraction: float
    seed: int
    train: int = 0  # number of training views
    val: int = 0  # number of validation views
    train_liveries: int = 0
    val_liveries: int = 0
    shared_liveries: tuple[str, ...] = ()
    """Liveries of both training and validation."""
    leaked_views: int = 0
    """Number of validation views that leak: the training side has their livery, or a near-duplicate
    of the view or of its texture."""
    view_matches: tuple[Match, ...] = ()
    texture_matches: tuple[Match, ...] = ()
    matches: int = 0
    error: str | None = None
    """Why the set cannot be split this way; None if it can."""
    test_fraction: float = 0.0
    test: int = 0  # number of test views
    test_liveries: int = 0
    shared_test_liveries: tuple[str, ...] = ()
    """Liveries of the test side that training or validation has too."""
    leaked_test_views: int = 0
    """Number of test views that leak, likewise, from training or from validation."""
    test_matches: tuple[MatchOfTest, ...] = ()
    """Textures first."""
    matches_of_test: int = 0

    @property
    def share(self) -> float:
        """Share of the validation views that leak, in [0, 1]."""
        return self.leaked_views / self.val if self.val else 0.0

    @property
    def test_share(self) -> float:
        """Share of the test views that leak, in [0, 1]."""
        return self.leaked_test_views / self.test if self.test else 0.0


class _Pair(NamedTuple):
    """Two near-duplicate files: one of the side that leaks, one of the side that it leaks from."""

    held: str
    seen: str
    colours: float
    same_livery: bool


class _Leaks(NamedTuple):
    """What one side leaks from another."""

    records: set[int]
    """The records of the first side that leak."""
    views: list[_Pair]
    textures: list[_Pair]


def leakage(
    records: Sequence[manifest.Record],
    scan: Scan,
    by: str,
    fraction: float,
    seed: int,
    test_fraction: float = 0.0,
) -> tuple[Leakage, tuple[str, ...]]:
    """The leakage of a split, and the side of each record.

    Args:
        scan: a scan to which every record was added.
        by: as in :func:`uvtex.data.splits.split`, like ``fraction``, ``seed`` and
            ``test_fraction``.

    Returns:
        The leakage, and ``train``, ``val`` or ``test`` for each record. Without a split, ``error``
        is set and there are no sides.
    """
    names = [record.livery for record in records]
    try:
        sides = splits.split(names, by, fraction, seed, test_fraction)
    except DataError as error:
        return Leakage(by, fraction, seed, error=str(error), test_fraction=test_fraction), ()
    train, val, test = ({names[i] for i in side} for side in sides)
    found = _leaks(records, sides.val, sides.train, scan)
    leak = Leakage(
        by,
        fraction,
        seed,
        len(sides.train),
        len(sides.val),
        len(train),
        len(val),
        tuple(sorted(train & val)),
        len(found.records),
        tuple(Match(*pair) for pair in found.views[:MOST_MATCHES]),
        tuple(Match(*pair) for pair in found.textures[:MOST_MATCHES]),
        len(found.views) + len(found.textures),
        test_fraction=test_fraction,
        test=len(sides.test),
        test_liveries=len(test),
        shared_test_liveries=tuple(sorted(test & (train | val))),
    )
    return _with_test_leaks(leak, records, sides, scan), _names(sides, len(records))


def _with_test_leaks(
    leak: Leakage, records: Sequence[manifest.Record], sides: splits.Sides, scan: Scan
) -> Leakage:
    others: dict[Literal["train", "val"], list[int]] = {"train": sides.train, "val": sides.val}
    found = {name: _leaks(records, sides.test, side, scan) for name, side in others.items()}
    matches = [
        MatchOfTest(pair.held, pair.seen, name, pair.colours, pair.same_livery)
        for pairs in ("textures", "views")
        for name, leaks in found.items()
        for pair in getattr(leaks, pairs)
    ]
    return replace(
        leak,
        leaked_test_views=len(found["train"].records | found["val"].records),
        test_matches=tuple(matches[:MOST_MATCHES]),
        matches_of_test=len(matches),
    )


def _names(sides: splits.Sides, count: int) -> tuple[str, ...]:
    """The name of each record's side."""
    named = [""] * count
    for name, side in zip(sides._fields, sides, strict=True):
        for record in side:
            named[record] = name
    return tuple(named)


def _leaks(
    records: Sequence[manifest.Record], held: Sequence[int], seen: Sequence[int], scan: Scan
) -> _Leaks:
    """What the records ``held`` leak from the records ``seen``."""
    shown = {records[i].livery for i in seen}
    views = _matches(records, held, seen, "view", scan.views)
    textures = _matches(records, held, seen, "texture", scan.textures)
    copies, twins = ({pair.held for pair in pairs} for pairs in (views, textures))
    leaked = {
        i
        for i in held
        if records[i].livery in shown or records[i].view in copies or records[i].texture in twins
    }
    return _Leaks(leaked, views, textures)


def _matches(
    records: Sequence[manifest.Record],
    held: Sequence[int],
    seen: Sequence[int],
    kind: Literal["view", "texture"],
    fingerprints: Mapping[str, duplicates.Fingerprint | None],
) -> list[_Pair]:
    """The near-duplicates across two sides.

    A file that both sides use matches itself if its liveries differ. With one livery it is no
    match: shared liveries are counted separately.
    """

    def files(side: Sequence[int]) -> dict[str, set[str]]:
        named: dict[str, set[str]] = {}
        for i in side:
            if fingerprints.get(file := getattr(records[i], kind)) is not None:
                named.setdefault(file, set()).add(records[i].livery)
        return named

    ours, theirs = files(held), files(seen)
    a, b = list(ours), list(theirs)
    found = duplicates.matches(*([p for f in side if (p := fingerprints[f])] for side in (a, b)))
    pairs = [(m, bool(ours[a[m.a]] & theirs[b[m.b]])) for m in found]
    return [
        _Pair(a[m.a], b[m.b], m.colours, same) for m, same in pairs if a[m.a] != b[m.b] or not same
    ]
