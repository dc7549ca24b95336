"""How much of the validation side the training side gives away."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from uvtex.data import manifest, splits
from uvtex.errors import DataError
from uvtex.inspection import duplicates
from uvtex.inspection.scan import Scan

MOST_MATCHES = 200
"""Listed; all are counted."""


@dataclass(frozen=True)
class Match:
    """Two nearly equal pictures, one on each side of the split."""

    val: str
    train: str
    colours: float
    """Mean difference, of 255."""
    same_livery: bool


@dataclass(frozen=True)
class Leakage:
    """What the training side tells of the validation side."""

    by: str
    fraction: float
    seed: int
    train: int = 0  # views
    val: int = 0
    train_liveries: int = 0
    val_liveries: int = 0
    shared_liveries: tuple[str, ...] = ()
    leaked_views: int = 0
    """Validation views whose livery is trained on, or that have a near-duplicate that is, in
    picture or in texture."""
    view_matches: tuple[Match, ...] = ()
    texture_matches: tuple[Match, ...] = ()
    matches: int = 0
    error: str | None = None
    """Why the set cannot be split so, where it cannot."""

    @property
    def share(self) -> float:
        """Of the validation views, in [0, 1]."""
        return self.leaked_views / self.val if self.val else 0.0


def leakage(
    records: Sequence[manifest.Record], look: Scan, by: str, fraction: float, seed: int
) -> tuple[Leakage, tuple[str, ...]]:
    """What a split leaks, and ``train`` or ``val`` of each record (nothing where it cannot be).

    Args:
        look: at every one of ``records``.
        by: with ``fraction`` and ``seed`` as :func:`uvtex.data.splits.split` takes them.
    """
    names = [record.livery for record in records]
    try:
        train, val = splits.split(names, by, fraction, seed)
    except DataError as error:
        return Leakage(by, fraction, seed, error=str(error)), ()
    trained = {names[i] for i in train}
    shared = sorted(trained & {names[i] for i in val})
    views = _matches(records, val, train, "view", look.views)
    textures = _matches(records, val, train, "texture", look.textures)
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
    prints: Mapping[str, duplicates.Print | None],
) -> list[Match]:
    """Near-duplicates across the split. One file on both sides is one if its liveries differ;
    else it is a shared livery, which is counted apart."""

    def files(side: Sequence[int]) -> dict[str, set[str]]:
        named: dict[str, set[str]] = {}
        for i in side:
            if prints.get(file := getattr(records[i], kind)) is not None:
                named.setdefault(file, set()).add(records[i].livery)
        return named

    held, trained = files(val), files(train)
    a, b = list(held), list(trained)
    found = duplicates.matches(*([p for f in side if (p := prints[f])] for side in (a, b)))
    pairs = [(m, bool(held[a[m.a]] & trained[b[m.b]])) for m in found]
    return [
        Match(a[m.a], b[m.b], m.colours, same) for m, same in pairs if a[m.a] != b[m.b] or not same
    ]
