"""Progress on a terminal: bars, and the time that is left."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn
from rich.text import Text

SHOW_AFTER = 10.0
"""Seconds between two lines."""

Stage = Callable[[str, int, int, str], None]
"""Called with what is worked on, how many are done, how many there are, and the time left."""
Counter = Callable[[int, int], None]
"""Called with how many are done and how many there are."""


@contextmanager
def stages(console: Console | None = None) -> Iterator[tuple[Callable[[str], None], Stage | None]]:
    """What tells a line, and what moves the bar of a stage; None where there is no terminal."""
    console = console or Console(stderr=True)

    def say(line: str) -> None:
        # As it is: no markup, no numbers in colour, and no line breaks where it is a file.
        console.print(Text(line), soft_wrap=True)

    if not console.is_interactive:
        yield say, None
        return
    with _bars(console) as bars:
        tasks = {}

        def stage(what: str, done: int, total: int, left: str) -> None:
            if what not in tasks:
                tasks[what] = bars.add_task(what, total=total, left="")
            bars.update(tasks[what], completed=done, total=total, left=left.removeprefix(", "))

        yield say, stage


@contextmanager
def counted(
    what: str, console: Console | None = None, clock: Callable[[], float] = time.monotonic
) -> Iterator[Counter]:
    """What counts the pieces of one piece of work: one bar, or a line every QUIET seconds."""
    with stages(console) as (say, stage):
        left, told = Eta(clock), clock()

        def count(done: int, total: int) -> None:
            nonlocal told
            # The first piece also loads libraries: its time would foretell hours.
            left.done() if done > 1 else left.skipped()
            words = left.text(total - done) if done < total else ""
            if stage is not None:
                stage(what, done, total, words)
            elif clock() - told >= SHOW_AFTER:
                told = clock()
                say(f"{what}: {done} of {total}{words}")

        yield count


def _bars(console: Console) -> Progress:
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[left]}"),
        console=console,
        transient=True,
    )


class Eta:
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

    def text(self, pieces: int) -> str:
        """``, about 3 min left`` for so many ``pieces``; empty before the first is done."""
        if not self._done:
            return ""
        seconds = (self._clock() - self._begin) / self._done * pieces
        if seconds < 90:
            return f", about {max(1, round(seconds))} s left"
        if seconds < 5400:
            return f", about {round(seconds / 60)} min left"
        return f", about {seconds / 3600:.1f} h left"
