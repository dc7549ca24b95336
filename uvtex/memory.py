"""Memory that runs out, said in the settings' words."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from uvtex.errors import OutOfMemory

CPU_SAYS = ("can't allocate memory", "can't start new thread")
"""How torch's allocator on the CPU words it, and Python where a thread's stack finds no room; on
CUDA torch has an exception of its own."""


@contextmanager
def named(doing: str, image_size: int, device: torch.device, lower: str) -> Iterator[None]:
    """Says in what follows what was being done when memory ran out, where, and what to ``lower``.

    Raises:
        OutOfMemory: in place of torch's and Python's own errors; others pass.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not _ran_out(error):
            raise
        raise OutOfMemory(
            f"out of memory on {device} while {doing} at {image_size} x {image_size} pixels; "
            f"lower {lower}, or free memory that other programs hold"
        ) from None


def _ran_out(error: Exception) -> bool:
    memory = isinstance(error, (MemoryError, torch.OutOfMemoryError))
    return memory or any(words in str(error) for words in CPU_SAYS)
