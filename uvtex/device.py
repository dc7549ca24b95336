"""The training device, its precision, and the error when its memory runs out."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from uvtex.device_names import DeviceName, Place, check, places
from uvtex.errors import ConfigError, OutOfMemory


def gpu_count(kind: str) -> int:
    """The number of GPUs of a kind that PyTorch sees; 0 where it was built without them."""
    if kind == "mps":
        return int(torch.backends.mps.is_available())
    backend = torch.xpu if kind == "xpu" else torch.cuda
    return backend.device_count() if backend.is_available() else 0


def resolve_device(name: str) -> torch.device:
    """The device of a ``device`` setting. ``auto`` is CUDA if it is available, otherwise the CPU.

    A GPU with a number becomes torch's current one. Otherwise pinned memory would take up memory of
    the first GPU too, which the user may have avoided because it is full.

    Raises:
        ConfigError: the name is invalid, or the machine has no such device.
    """
    (place, *_) = device_places(name)
    device = torch.device(place.device)
    try:
        torch.empty(0, device=device)
        if device.type == "cuda":
            torch.cuda.set_device(device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise ConfigError(f"device {name!r} cannot be used: {reason}; try auto or cpu") from None
    return device


def device_places(name: str) -> list[Place]:
    """The devices that a ``device`` setting allows on this machine, one for each worker.

    Raises:
        ConfigError: the name is invalid, or the machine has no such device.
    """
    asked = DeviceName.parse(name)
    count = 0 if asked.gpu_kind is None else gpu_count(asked.gpu_kind)
    check(asked, count, os.environ, torch.__version__)
    return places(asked, count, os.environ)


def autocast(device: torch.device, precision: str) -> torch.autocast:
    """The autocast context in which the networks run.

    It uses bf16 if ``precision`` is ``bf16``, or if it is ``auto`` and the device is CUDA.
    """
    bf16 = precision == "bf16" or (precision == "auto" and device.type == "cuda")
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=bf16)


CPU_SAYS = ("can't allocate memory", "can't start new thread")
"""Parts of the messages of out-of-memory errors on the CPU.

The first is from torch's allocator. The second is from Python, if a thread's stack does not fit in
memory. On CUDA torch has a special exception.
"""


@contextmanager
def named_out_of_memory(
    doing: str, image_size: int, device: torch.device, lower: str
) -> Iterator[None]:
    """Converts out-of-memory errors of the block into :class:`OutOfMemory`.

    The message names the activity ``doing``, the device, the image size, and the settings to
    ``lower``.

    Raises:
        OutOfMemory: in place of torch's and Python's own errors. Other errors pass unchanged.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not _is_out_of_memory(error):
            raise
        raise OutOfMemory(
            f"out of memory on {device} while {doing} at {image_size} x {image_size} pixels; "
            f"lower {lower}, or free memory that other programs hold"
        ) from None


def _is_out_of_memory(error: Exception) -> bool:
    memory = isinstance(error, (MemoryError, torch.OutOfMemoryError))
    return memory or any(words in str(error) for words in CPU_SAYS)
