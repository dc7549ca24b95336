"""What asks a driver to stop or to pause: signals, and requests of other commands."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from sweep.study.folder import StudyFolder
from sweep.study.requests import read_request

SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP")
"""Ctrl-C, the end of a service or a container, and a terminal that was closed."""


class Interrupts:
    """Counts signals, and reads requests. The driver looks at them where it may safely stop.

    Args:
        paths: the study whose requests are read.
    """

    def __init__(self, paths: StudyFolder) -> None:
        self._paths = paths
        self.count = 0
        """The first interrupt stops runs after their epoch, the second at once."""
        self.paused = False
        """Whether `sweep pause` asks to start nothing for now."""
        self._told = ""

    @property
    def holding(self) -> bool:
        """Whether no run is to be started, and runs are to end after their epoch."""
        return self.count > 0 or self.paused

    def tell(self, say: Callable[[str], None]) -> None:
        """Tells people once what is asked, and once that nothing is asked any more."""
        asked = ""
        if self.count:
            asked = "Stopping after the current epoch. Press Ctrl-C again to stop at once."
        elif self.paused:
            resume = self._paths.command("resume")
            asked = f"Pausing after the current epoch. To go on: {resume}"
        if asked != self._told:
            say(asked or "The study goes on.")
        self._told = asked

    def look(self) -> None:
        """Reads the requests of `sweep pause`, `sweep resume` and `sweep stop`."""
        request = read_request(self._paths)
        self.paused = request is not None and request.ask == "pause"
        if request is not None and request.ask != "pause":
            self.count = max(self.count, 2 if request.ask == "stop now" else 1)

    def asked_to_stop(self) -> bool:
        """Whether the driver is to end, also by a request of this moment."""
        self.look()
        return self.count > 0

    @contextmanager
    def counted(self) -> Iterator[None]:
        """Counts signals inside the block. Outside the main thread it does nothing."""
        with _handled(self._count):
            yield

    def _count(self, *_: object) -> None:
        # Only a count is safe here: the display may be drawing.
        self.count += 1


@contextmanager
def all_as_ctrl_c() -> Iterator[None]:
    """Inside the block every one of SIGNALS raises KeyboardInterrupt, as Ctrl-C does."""
    with _handled(_raise):
        yield


def _raise(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


@contextmanager
def _handled(handler: object) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {}
    try:
        for name in SIGNALS:
            number = getattr(signal, name, None)  # Windows has no SIGHUP
            # Under nohup a closed terminal means nothing, and it stays so.
            if number is not None and signal.getsignal(number) != signal.SIG_IGN:
                before[number] = signal.signal(number, handler)  # type: ignore[arg-type]
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)
