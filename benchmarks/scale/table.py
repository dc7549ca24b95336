"""A table of steps, with the time that each takes."""

from __future__ import annotations

import resource
import statistics
import time
from collections.abc import Callable, Iterator
from typing import TypeVar

T = TypeVar("T")


class Table:
    """Steps with their milliseconds of processor time, which other work on the machine hardly
    changes, and of wall time."""

    def __init__(self) -> None:
        self.rows: dict[str, list[tuple[float, float]]] = {}

    def measure(self, name: str, function: Callable[[], T]) -> T:
        began, before = time.perf_counter(), _processor_seconds()
        result = function()
        used, took = _processor_seconds() - before, time.perf_counter() - began
        self.rows.setdefault(name, []).append((1000 * used, 1000 * took))
        return result

    def lines(self) -> Iterator[str]:
        yield "| step | processor ms: median | least | most | wall ms: median | times |"
        yield "| --- | --- | --- | --- | --- | --- |"
        for name, values in self.rows.items():
            used, took = zip(*values, strict=True)
            figures = (statistics.median(used), min(used), max(used), statistics.median(took))
            yield f"| {name} | {' | '.join(f'{v:.0f}' for v in figures)} | {len(values)} |"


def _processor_seconds() -> float:
    """Of this process with all its threads, and of the processes that it has awaited."""
    own, others = (
        resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    return own.ru_utime + own.ru_stime + others.ru_utime + others.ru_stime
