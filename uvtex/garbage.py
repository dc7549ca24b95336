"""Python's search for reference cycles, for code that makes many objects and no cycles."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def uncollected() -> Iterator[None]:
    """A block, or a decorated function, during which Python does not look for cycles.

    Python looks through all objects again and again while their number grows. Ten thousand runs
    are a million objects, which takes as long as to read them. Objects without cycles are freed as
    ever. The setting of before comes back at the end, after an error too.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
