"""Work on several things at once, each from end to end in one thread.

torch shares every operator among its threads, so what one of them made, another reads at the next
operator. Where cores share no cache that costs more than it gains for operators that are all
traffic; and what is worked on is then larger than a core's own cache.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from itertools import pairwise
from typing import TypeVar

import torch

T = TypeVar("T")
R = TypeVar("R")


def shared(work: Callable[[Sequence[T]], R], items: Sequence[T]) -> list[R]:
    """``work`` done on ``items``, as many of them to each of torch's threads as to any other.

    Its results are in the items' order: what is summed over them is the same each time, though not
    the same with another number of threads. Nothing is recorded for gradients. ``work`` is called
    once, in the caller's thread, where there are fewer items than threads.
    """
    threads = torch.get_num_threads()
    if threads == 1 or len(items) < threads:
        with torch.no_grad():
            return [work(items)]
    bounds = [len(items) * i // threads for i in range(threads + 1)]
    parts = [items[start:end] for start, end in pairwise(bounds)]

    def quietly(part: Sequence[T]) -> R:
        with torch.no_grad():  # each thread has this of its own, on at first
            return work(part)

    try:
        return list(_pool(threads).map(quietly, parts))
    finally:
        torch.set_num_threads(threads)  # what the pool's threads set of theirs, new ones take up


@cache
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, "parts", _work_alone)


def _work_alone() -> None:
    torch.get_num_threads()  # a thread takes up all other threads' number when it first asks for it
    torch.set_num_threads(1)
