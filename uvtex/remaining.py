"""How long it will still take, from how long it took so far."""

from __future__ import annotations

import time
from collections.abc import Callable


class Remaining:
    """Counts work of equal pieces; pieces that were there already are not counted."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._begin = clock()
        self._done = 0

    def done(self) -> None:
        """A piece of work was finished."""
        self._done += 1

    def skipped(self) -> None:
        """A piece was there already: the time that it took says nothing."""
        if not self._done:
            self._begin = self._clock()

    def words(self, pieces: int) -> str:
        """``, about 3 min left`` for so many ``pieces``; empty before the first is done."""
        if not self._done:
            return ""
        seconds = (self._clock() - self._begin) / self._done * pieces
        if seconds < 90:
            return f", about {max(1, round(seconds))} s left"
        if seconds < 5400:
            return f", about {round(seconds / 60)} min left"
        return f", about {seconds / 3600:.1f} h left"
