"""Ctrl-C and SIGTERM during a study."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Interrupts:
    """Counts Ctrl-C and SIGTERM. The driver looks at the count where it may safely stop."""

    def __init__(self) -> None:
        self.count = 0
        """The first interrupt stops runs after their epoch, the second at once."""

    @contextmanager
    def counted(self) -> Iterator[None]:
        """Counts signals inside the block. Outside the main thread it does nothing."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        signals = (signal.SIGINT, signal.SIGTERM)
        before = [signal.signal(number, self._count) for number in signals]
        try:
            yield
        finally:
            for number, handler in zip(signals, before, strict=True):
                signal.signal(number, handler)

    def _count(self, *_: object) -> None:
        # Only a count is safe here: the display may be drawing.
        self.count += 1
