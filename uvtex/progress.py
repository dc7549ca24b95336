"""Progress of long work: the protocol that reports it, the terminal bars, and the time left."""

from __future__ import annotations

import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from uvtex.output import rich_console

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress as Bars

SECONDS_BETWEEN_LINES = 10.0
"""Least time between two progress lines of :func:`timed_progress`, in seconds."""

Echo = Callable[[str], None]
"""Receives one line of text for the user."""


class Progress(Protocol):
    """Receives how far a piece of work is. Every long operation of the package takes one."""

    def __call__(self, stage: str, done: int, total: int, left: str = "") -> None:
        """Reports ``done`` of ``total`` pieces.

        Args:
            stage: what the pieces are, in the plural: ``pictures``, ``cameras``.
            left: the time left in words, as :meth:`Eta.text` gives it, or what is being done;
                empty if unknown.
        """


def no_progress(stage: str, done: int, total: int, left: str = "") -> None:
    """A :class:`Progress` that shows nothing."""


@contextmanager
def stages(console: Console | None = None) -> Iterator[tuple[Echo, Progress | None]]:
    """Yields a function that prints a line, and a :class:`Progress` with one bar a stage.

    The second is None unless ``console`` (default: standard error) is a terminal.
    """
    from rich.text import Text

    console = console or rich_console(sys.stderr)

    def say(line: str) -> None:
        # Text keeps the line as it is: no markup, no coloured numbers, no line breaks in a file.
        console.print(Text(line), soft_wrap=True)

    if not console.is_interactive:
        yield say, None
        return
    with _bars(console) as bars:
        tasks = {}

        def move(stage: str, done: int, total: int, left: str = "") -> None:
            if stage not in tasks:
                tasks[stage] = bars.add_task(stage, total=total, left="")
            bars.update(tasks[stage], completed=done, total=total, left=left)

        yield say, move


@contextmanager
def timed_progress(
    console: Console | None = None, clock: Callable[[], float] = time.monotonic
) -> Iterator[Progress]:
    """Yields a :class:`Progress` that estimates the time left by itself.

    It moves a bar on a terminal. Elsewhere it prints a line, at most one every
    ``SECONDS_BETWEEN_LINES``. A long piece may be reported several times, with the same ``done``
    and with words that say what is being done.
    """
    with stages(console) as (say, bar):
        eta, last_line, last = Eta(clock), clock(), ("", 0)

        def report(stage: str, done: int, total: int, left: str = "") -> None:
            nonlocal last_line, last
            if (stage, done) != last:
                # The first piece also loads libraries, unless its beginning was told. Its time
                # would predict hours.
                eta.done() if done > 1 or last == (stage, done - 1) else eta.skipped()
                last = stage, done
            time_left = eta.text(total - done) if done < total else ""
            left = ", ".join(words for words in (left, time_left) if words)
            if bar is not None:
                bar(stage, done, total, left)
            elif clock() - last_line >= SECONDS_BETWEEN_LINES:
                last_line = clock()
                say(f"{stage}: {done} of {total}{left and f', {left}'}")

        yield report


def _bars(console: Console) -> Bars:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn

    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[left]}", markup=False),
        console=console,
        transient=True,
    )


class Eta:
    """Estimates the time left from the mean duration of the pieces that are finished.

    >>> now = 0.0
    >>> eta = Eta(clock=lambda: now)
    >>> now = 4.0
    >>> eta.done()
    >>> eta.text(pieces=9)
    'about 36 s left'
    """

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, recent: int | None = None
    ) -> None:
        """``recent`` limits the mean to that many last pieces; None: all of them."""
        self._clock = clock
        self._begin = clock()
        self._durations: deque[float] = deque(maxlen=recent)

    @property
    def elapsed(self) -> float:
        """Seconds since the current piece began."""
        return self._clock() - self._begin

    def done(self) -> None:
        """Records that the current piece is finished; the next one begins."""
        self._durations.append(self.elapsed)
        self._begin = self._clock()

    def skipped(self) -> None:
        """Leaves the current piece out of the mean; the next one begins."""
        self._begin = self._clock()

    def seconds(self, pieces: int, expected: float | None = None) -> float | None:
        """Seconds left for ``pieces`` unfinished pieces, the current one included.

        Args:
            expected: duration of a piece in seconds, used until the first is finished.

        Returns:
            None if nothing is known yet.
        """
        if self._durations:
            expected = sum(self._durations) / len(self._durations)
        if expected is None:
            return None
        return max(expected - self.elapsed, 0.0) + (pieces - 1) * expected

    def text(self, pieces: int, expected: float | None = None) -> str:
        """:meth:`seconds` in words, as ``about 3 min left``; empty if nothing is known yet."""
        seconds = self.seconds(pieces, expected)
        return "" if seconds is None else f"about {duration_text(seconds)} left"


def duration_text(seconds: float) -> str:
    """A duration in words.

    >>> duration_text(36.2), duration_text(600), duration_text(9000)
    ('36 s', '10 min', '2 h 30 min')
    """
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60:02d} min"
