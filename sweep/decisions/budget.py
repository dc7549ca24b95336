"""Does the next run still fit: predictions from measured epochs, with the clock an argument."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

RECENT = 50
"""Epochs that a prediction looks back on: other load on the machine comes and goes."""

QUANTILE = 0.75
"""Of the recent epochs' seconds: a run that ends early is better than one that overruns."""


@dataclass(frozen=True)
class Budget:
    """Seconds from ``started`` on; None is no limit. All times are seconds of one clock."""

    seconds: float | None
    started: float

    def left(self, now: float) -> float | None:
        """What is left at ``now``, never below 0; None is no limit."""
        if self.seconds is None:
            return None
        return max(0.0, self.seconds - (now - self.started))


@dataclass(frozen=True)
class Measured:
    """What runs of this study took so far, in the order they happened."""

    epochs: Sequence[float] = ()
    """Seconds an epoch, validation and checkpoint included."""
    overheads: Sequence[float] = ()
    """Seconds a run took beside its epochs: loading, the first batch, grids."""


def predict(measured: Measured, epochs: int) -> float | None:
    """Seconds that a run of ``epochs`` will take; None if nothing was measured yet."""
    if not measured.epochs:
        return None
    recent = sorted(measured.epochs[-RECENT:])
    per_epoch = recent[min(len(recent) - 1, int(QUANTILE * len(recent)))]
    return per_epoch * epochs + max(measured.overheads[-RECENT:], default=0.0)


def fits(budget: Budget, now: float, predicted: float | None, running: int) -> bool:
    """Whether one run more may start at ``now`` while ``running`` others go on.

    Without a limit it may. Without a measurement one run may, to be measured, as long as any time
    is left. A run once started is not stopped when time is up.
    """
    left = budget.left(now)
    if left is None:
        return True
    if predicted is None:
        return running == 0 and left > 0
    return predicted <= left
