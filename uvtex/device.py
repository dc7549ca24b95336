"""The training device, the precision on it, and a clear message when its memory runs out."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from uvtex.errors import ConfigError, OutOfMemory


def resolve_device(name: str) -> torch.device:
    """``auto`` is CUDA where there is one, else the CPU.

    Raises:
        ConfigError: no such device here.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise ConfigError(f"device {name!r} cannot be used: {reason}; try auto or cpu") from None
    return device


def autocast(device: torch.device, precision: str) -> torch.autocast:
    """The region in which the networks run: bf16 on CUDA unless float32 is asked for."""
    bf16 = precision == "bf16" or (precision == "auto" and device.type == "cuda")
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=bf16)


CPU_SAYS = ("can't allocate memory", "can't start new thread")
"""How torch's allocator on the CPU words it, and Python where a thread's stack finds no room; on
CUDA torch has an exception of its own."""


@contextmanager
def named_out_of_memory(
    doing: str, image_size: int, device: torch.device, lower: str
) -> Iterator[None]:
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
