"""Work on several things at once, each from end to end in one thread.

torch shares every operator among its threads, so what one of them made, another reads at the next
operator. Where cores share no cache that costs more than it gains for operators that are all
traffic; and what is worked on is then larger than a core's own cache.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from functools import cache
from itertools import pairwise
from threading import Barrier
from typing import TypeVar

import torch

T = TypeVar("T")
R = TypeVar("R")


def shared(work: Callable[[Sequence[T]], R], items: Sequence[T]) -> list[R]:
    """``work`` done on ``items``, shared out evenly among as many threads as torch has.

    Its results are in the items' order: what is summed over them is the same each time, though not
    the same with another number of threads. Nothing is recorded for gradients. ``work`` is called
    once, in the caller's thread, where there are fewer items than threads.

    Raises:
        Exception: what ``work`` raised first in the items' order, once none of it runs any more.
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

    futures = [_pool(threads).submit(quietly, part) for part in parts]
    wait(futures)
    return [future.result() for future in futures]


@cache
def _pool(threads: int) -> ThreadPoolExecutor:
    """That many threads in which torch works alone. They do not live on in a forked process."""
    started = Barrier(threads)

    def work_alone() -> None:
        torch.get_num_threads()  # a thread takes up the number of all when it first asks for it
        torch.set_num_threads(1)

    pool = ThreadPoolExecutor(threads, "parts", work_alone)
    wait([pool.submit(started.wait) for _ in range(threads)])
    torch.set_num_threads(threads)  # of all that ask from now on: the last one set it to 1
    return pool
