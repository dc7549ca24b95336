"""Which checkpoints stay: the best, the last, every k-th, and what the trainer did not write."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from pathlib import Path

from uvtex.snapshots.folder import Snapshot


def reasons(found: Sequence[Snapshot], every: int = 0) -> dict[Path, str]:
    """Why each checkpoint stays; those that may go have no entry.

    ``every`` keeps periodic ones whose epoch is a multiple of it; 0 keeps none of them. Where the
    best or the last is missing or broken, the periodic one that comes nearest to it stays.
    """
    kept: dict[Path, str] = {}
    periodic = [s for s in found if s.kind == "periodic"]
    for s in found:
        if s.kind == "periodic":
            if every and s.epoch is not None and s.epoch % every == 0:
                kept[s.path] = f"every {every}"
        else:
            kept[s.path] = s.kind
    if periodic and not any(s.kind == "best" for s in found):
        nearest = max(periodic, key=lambda s: s.metrics.get("margin", -math.inf))
        kept[nearest.path] = "best of those left"
    if periodic and not any(s.kind == "last" for s in found):
        kept.setdefault(max(periodic, key=lambda s: s.epoch or 0).path, "last of those left")
    return kept


def goers(found: Sequence[Snapshot], every: int = 0) -> list[Snapshot]:
    """The checkpoints that :func:`reasons` has no reason to keep."""
    kept = reasons(found, every)
    return [s for s in found if s.path not in kept]


def remove(paths: Iterable[Path]) -> None:
    """Removes the files; one that is gone already is no error."""
    for path in paths:
        path.unlink(missing_ok=True)
