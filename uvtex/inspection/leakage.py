"""Leakage: validation views that the training side shows already."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from uvtex.data import manifest, splits
from uvtex.errors import DataError
from uvtex.inspection import duplicates
from uvtex.inspection.scan import Scan

MOST_MATCHES = 200
"""At most this many matches of each kind are listed. All are counted."""


@dataclass(frozen=True)
class Match:
    """Two near-duplicate files, one on each side of the split."""

    val: str
    train: str
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
    leaked_views: int = 0
    """Number of validation views that leak: the training side has their livery, or a near-duplicate
    of the view or of its texture."""
    view_matches: tuple[Match, ...] = ()
    texture_matches: tuple[Match, ...] = ()
    matches: int = 0
    error: str | None = None
    """Why the set cannot be split this way; None if it can."""

    @property
    def share(self) -> float:
        """Share of the validation views that leak, in [0, 1]."""
        return self.leaked_views / self.val if self.val else 0.0


def leakage(
    records: Sequence[manifest.Record], scan: Scan, by: str, fraction: float, seed: int
) -> tuple[Leakage, tuple[str, ...]]:
    """The leakage of a split, and the side of each record.

    Args:
        scan: a scan to which every record was added.
        by: as in :func:`uvtex.data.splits.split`, like ``fraction`` and ``seed``.

    Returns:
        The leakage, and ``train`` or ``val`` for each record. Without a split, ``error`` is set and
        there are no sides.
    """
    names = [record.livery for record in records]
    try:
        train, val = splits.split(names, by, fraction, seed)
    except DataError as error:
        return Leakage(by, fraction, seed, error=str(error)), ()
    trained = {names[i] for i in train}
    shared = sorted(trained & {names[i] for i in val})
    views = _matches(records, val, train, "view", scan.views)
    textures = _matches(records, val, train, "texture", scan.textures)
    twins = {match.val for match in textures}
    copies = {match.val for match in views}
    leaked = [
        i
        for i in val
        if names[i] in trained or records[i].view in copies or records[i].texture in twins
    ]
    held = set(val)
    sides = tuple("val" if i in held else "train" for i in range(len(records)))
    return Leakage(
        by,
        fraction,
        seed,
        len(train),
        len(val),
        len(trained),
        len({names[i] for i in val}),
        tuple(shared),
        len(leaked),
        tuple(views[:MOST_MATCHES]),
        tuple(textures[:MOST_MATCHES]),
        len(views) + len(textures),
    ), sides


def _matches(
    records: Sequence[manifest.Record],
    val: Sequence[int],
    train: Sequence[int],
    kind: Literal["view", "texture"],
    fingerprints: Mapping[str, duplicates.Fingerprint | None],
) -> list[Match]:
    """The near-duplicates across the split.

    A file that both sides use matches itself if its liveries differ. With one livery it is no
    match: shared liveries are counted separately.
    """

    def files(side: Sequence[int]) -> dict[str, set[str]]:
        named: dict[str, set[str]] = {}
        for i in side:
            if fingerprints.get(file := getattr(records[i], kind)) is not None:
                named.setdefault(file, set()).add(records[i].livery)
        return named

    held, trained = files(val), files(train)
    a, b = list(held), list(trained)
    found = duplicates.matches(*([p for f in side if (p := fingerprints[f])] for side in (a, b)))
    pairs = [(m, bool(held[a[m.a]] & trained[b[m.b]])) for m in found]
    return [
        Match(a[m.a], b[m.b], m.colours, same) for m, same in pairs if a[m.a] != b[m.b] or not same
    ]
