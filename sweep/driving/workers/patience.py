"""How patient a driver is with its workers, and when it gives up."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from sweep.decisions.budget import RECENT
from sweep.study.config import Hang
from sweep.study.folder import WORKER_LOG
from uvtex.errors import UvtexError

MAX_EARLY_FAILURES = 3
"""The driver stops after this many failures in a row without a single epoch."""

POLL_SECONDS = 0.5
"""Longest wait for an event, so that Ctrl-C is noticed."""

LONGEST_LOOK = 4 * POLL_SECONDS
"""The most seconds of silence that count between two looks. While the driver itself was stopped,
asleep or busy, it heard no worker."""


class Patience:
    """How long each slot's worker has said nothing, and whether that is too long.

    Args:
        clock: seconds. It should stand still while the machine sleeps.
    """

    def __init__(self, hang: Hang, clock: Callable[[], float] = time.monotonic) -> None:
        self._hang, self._clock = hang, clock
        self._silent: dict[str, float] = {}
        self._looked = clock()

    def heard(self, slot: str) -> None:
        """Counts the silence of a slot from now on: it got a job, or sent an event."""
        self._silent[slot] = 0.0

    def look(self, limits: Mapping[str, float]) -> dict[str, float]:
        """The slots that were silent for longer than their limits, and for how many seconds.

        Args:
            limits: the busy slots, see :meth:`limit`.
        """
        now = self._clock()
        passed, self._looked = min(now - self._looked, LONGEST_LOOK), now
        for slot in limits:
            self._silent[slot] = self._silent.get(slot, 0.0) + passed
        return {s: self._silent[s] for s, limit in limits.items() if self._silent[s] > limit}

    def limit(self, own: Sequence[float], others: Sequence[float], between: bool) -> float:
        """The seconds for which a worker may say nothing.

        Args:
            own: durations of the epochs of its run.
            others: durations of epochs of the study, in the order of time. The latest count where
                the run has none.
            between: whether the worker has made an epoch and has another to make. If not, it may
                open the data set, measure the test side or draw grids.
        """
        known = own or others[-RECENT:]
        usual = statistics.median(known) if known else 0.0
        least = self._hang.least_seconds if between else self._hang.first_epoch_seconds
        return max(least, self._hang.factor * usual)


def goes_on(label: str, message: str) -> str:
    """What people are told of a run whose worker ``message``, a predicate of ``worker``."""
    return f"{label}: worker {message}; the run continues from its last checkpoint"


def died_for_good(deaths: int, message: str) -> str:
    """Why a run failed after its last worker ``message``, a predicate of ``worker``."""
    if deaths == 1:
        return f"its worker {message}"
    return f"{deaths} workers in a row died without a new epoch; the last one {message}"


class EarlyFailures:
    """Counts runs that fail one after the other without a single epoch."""

    def __init__(self) -> None:
        self._number = 0

    def count(self, failed_early: bool, label: str, reason: str, run_dir: Path) -> None:
        """Counts a run that has ended.

        Raises:
            UvtexError: it is the MAX_EARLY_FAILURES-th of its kind in a row.
        """
        self._number = self._number + 1 if failed_early else 0
        if self._number >= MAX_EARLY_FAILURES:
            raise UvtexError(
                f"{MAX_EARLY_FAILURES} runs in a row failed before their first epoch; the last, "
                f"{label}: {reason}; see {run_dir / WORKER_LOG}"
            )
