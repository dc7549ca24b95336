"""How many bytes runs will write, and whether one more may start."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

RESERVE = 64 * 2**20
"""Bytes that stay free for what is no run: the databases' journals, logs, report, summary."""

EPOCH = 16_000
"""Bytes of an epoch in ``epochs.jsonl`` and in the databases: some forty metrics of 300 bytes."""

FLOAT = 4
MOMENTS = 2
"""Numbers that the optimiser keeps of each weight, in the checkpoint that a run resumes from."""

GRID_TILES = 6
"""Pictures of a sample grid. A picture that does not compress takes three bytes a pixel."""

PROGRAM = 2 * 2**20
"""Bytes of a registered version that are not weights: the program, its examples, its page."""


@dataclass(frozen=True)
class RunBytes:
    """What a run takes on the disk."""

    kept: int
    """When it has ended, with its copies in MLflow's artifact store."""
    peak: int
    """At most, while it is trained or registered."""

    def __or__(self, other: RunBytes) -> RunBytes:
        """The larger of both."""
        return RunBytes(max(self.kept, other.kept), max(self.peak, other.peak))


def run_bytes(
    best: int, last: int, others: int, epochs: int, *, copied: bool, registered: bool
) -> RunBytes:
    """The bytes of a run by those of its files.

    A checkpoint is written beside the one that it replaces, so both are there for a moment.

    Args:
        best: bytes of the best checkpoint.
        last: bytes of the checkpoint from which the run is resumed.
        others: bytes of everything else that the run leaves, such as grids.
        copied: whether MLflow's artifacts are on the same disk. ``last`` is not copied.
        registered: whether the run may become a registered version.
    """
    copies = best + others if copied else 0
    version = 2 * best + PROGRAM if copied and registered else 0
    kept = best + last + others + copies + epochs * EPOCH
    return RunBytes(kept + version, kept + version + max(best, last))


def estimate(
    weights: int, side: int, grids: int, epochs: int, *, copied: bool, registered: bool
) -> RunBytes:
    """The bytes of a run that nothing like it was made of yet.

    Args:
        weights: number of the networks' weights.
        side: of a picture, in pixels.
    """
    best = FLOAT * weights
    return run_bytes(
        best,
        (1 + MOMENTS) * best,
        grid_bytes(grids, side),
        epochs,
        copied=copied,
        registered=registered,
    )


def grid_bytes(grids: int, side: int) -> int:
    """The bytes of sample grids, at most."""
    return grids * GRID_TILES * 3 * side**2


def lacking(free: int, next_run: RunBytes, running: Collection[tuple[RunBytes, int]]) -> int:
    """Bytes that are missing before another run may start; 0: it may.

    Args:
        running: of each run in progress, what it takes at most and what it has written.
    """
    promised = sum(max(0, run.peak - written) for run, written in running)
    return max(0, next_run.peak + promised + RESERVE - free)


def readable(count: float) -> str:
    """Bytes for people: ``12.3 MB``."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if abs(count) < 1000:
            return f"{count:.0f} {unit}" if unit == "bytes" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"
