"""How long work goes on: bars on a terminal's standard error, lines where that is a file."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn
from rich.text import Text

from uvtex.remaining import Remaining

QUIET = 10.0
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
        left, told = Remaining(clock), clock()

        def count(done: int, total: int) -> None:
            nonlocal told
            # The first piece also loads libraries: its time would foretell hours.
            left.done() if done > 1 else left.skipped()
            words = left.words(total - done) if done < total else ""
            if stage is not None:
                stage(what, done, total, words)
            elif clock() - told >= QUIET:
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
