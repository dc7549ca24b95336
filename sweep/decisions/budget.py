"""Whether the next run fits into the time budget, predicted from measured epochs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

RECENT = 50
"""A prediction uses this many epochs, the latest: other load on the machine changes."""

QUANTILE = 0.75
"""Quantile of the recent epochs' seconds. High, since a run should end early rather than late."""


@dataclass(frozen=True)
class Budget:
    """The limits of one call of a command; None: no limit. All times are seconds of one clock.

    No one may be able to set that clock: see docs/decisions/0011.
    """

    seconds: float | None
    """Time limit from ``started`` on, whatever runs in it."""
    started: float
    device_seconds: float | None = None
    """Limit on the sum over devices of the time in which each runs something. Two devices that run
    for an hour use two device-hours; a device that waits uses none."""

    def left(self, now: float) -> float | None:
        """Seconds left at ``now``, at least 0; None: no limit."""
        if self.seconds is None:
            return None
        return max(0.0, self.seconds - (now - self.started))


@dataclass(frozen=True)
class Measured:
    """The measured durations of this study's runs, in the order of time."""

    epochs: Sequence[float] = ()
    """Seconds of each epoch, with its validation and checkpoint."""
    overheads: Sequence[float] = ()
    """Seconds of each run outside its epochs: loading, the first batch, grids."""


def predict(measured: Measured, epochs: int) -> float | None:
    """Seconds that a run of ``epochs`` will take; None if no epoch was measured yet."""
    if not measured.epochs:
        return None
    recent = sorted(measured.epochs[-RECENT:])
    per_epoch = recent[min(len(recent) - 1, int(QUANTILE * len(recent)))]
    return per_epoch * epochs + max(measured.overheads[-RECENT:], default=0.0)


def fits(
    budget: Budget,
    now: float,
    predicted: float | None,
    running: int,
    used: float = 0.0,
    committed: float = 0.0,
) -> bool:
    """Whether one more run may start at ``now``, while ``running`` others go on.

    Without a limit, every run may start. Without a prediction, one run may start at a time, so that
    it can be measured, as long as something of each limit is left. A started run is not stopped
    when a limit is reached.

    Args:
        used: device-seconds of the runs of this call so far, those in progress included.
        committed: device-seconds that the runs in progress are predicted to use from now on.
    """
    left = budget.left(now)
    device_left = (
        None
        if budget.device_seconds is None
        else max(0.0, budget.device_seconds - used - committed)
    )
    limits = [limit for limit in (left, device_left) if limit is not None]
    if not limits:
        return True
    if predicted is None:
        return running == 0 and min(limits) > 0
    return predicted <= min(limits)
