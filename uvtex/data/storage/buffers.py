"""Stacks of pictures of one shape, as bytes.

A stack is on the training device, or in a file if it does not fit there.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from uvtex.errors import UvtexError

CHUNK = 64
"""Number of pictures in one transfer to the device."""
SHARE = 0.5
"""Share of the free memory that pictures may take. Networks and batches need the rest."""


@dataclass(frozen=True)
class Indices:
    """The same int64 indices on the host and on the device.

    With both, no lookup waits for a transfer.
    """

    host: Tensor
    device: Tensor

    def part(self, start: int, count: int) -> Indices:
        """``count`` indices from ``start`` on."""
        return Indices(self.host[start : start + count], self.device[start : start + count])


class ImageStack:
    """Pictures uint8 [N, C, H, W]. Pictures in a file are read on demand."""

    def __init__(self, pixels: Tensor, device: torch.device, mapped: bool = False) -> None:
        self.pixels, self.mapped = pixels, mapped
        self._pinned = mapped and device.type == "cuda"

    def __len__(self) -> int:
        return len(self.pixels)

    @property
    def size(self) -> int:
        """Side of the pictures, in pixels."""
        return self.pixels.shape[-1]

    def take(self, places: Indices) -> Tensor:
        """The pictures at ``places``, uint8 [B, C, H, W].

        They are on the device, or on the host if the stack is in a file. For CUDA the host copy is
        pinned.
        """
        if not self.mapped:
            return self.pixels.index_select(0, places.device)
        picked = self.pixels.index_select(0, places.host)
        return picked.pin_memory() if self._pinned else picked


class MemoryBudget:
    """The memory of a device that stacks may take.

    The first stacks get the memory. A stack that no longer fits goes to a file.

    Args:
        limit: bytes that stacks may take. None: half of the memory that is free now.
    """

    def __init__(self, device: torch.device, limit: int | None = None) -> None:
        self.device = device
        self.left = free(device) * SHARE if limit is None else limit

    def stack(
        self, count: int, shape: tuple[int, int, int], read: Callable[[int], np.ndarray]
    ) -> ImageStack:
        """A stack of ``count`` pictures of ``shape`` [C, H, W].

        Args:
            read: gives the picture of an index, uint8 [H, W(, C)].

        Raises:
            UvtexError: the pictures fit neither on the device nor on the disk.
        """
        size = count * int(np.prod(shape))
        mapped = size > self.left
        if mapped:
            pixels = _in_a_file(size).view(count, *shape)
        else:
            self.left -= size
            pixels = torch.empty((count, *shape), dtype=torch.uint8, device=self.device)
        for start in range(0, count, CHUNK):
            chunk = [read(i).reshape(*shape[1:], shape[0]) for i in range(count)[start:][:CHUNK]]
            images = torch.from_numpy(np.stack(chunk)).permute(0, 3, 1, 2)
            pixels[start : start + len(chunk)] = images
        return ImageStack(pixels, self.device, mapped)


def free(device: torch.device) -> int:
    """Free memory of ``device``, in bytes."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    try:
        with open("/proc/meminfo") as file:
            fields = dict(line.split(":") for line in file)
        return int(fields["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError):  # not Linux
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2


def _in_a_file(size: int) -> Tensor:
    """``size`` bytes in an unnamed file, in the folder of TMPDIR."""
    with tempfile.TemporaryFile() as file:
        try:
            os.posix_fallocate(file.fileno(), 0, size)  # a full disk fails here, not later
        except OSError as error:
            raise UvtexError(
                f"{tempfile.gettempdir()}: no room for {size:,} bytes of pictures that do not fit "
                f"in memory: {error.strerror}; set TMPDIR to a larger disk, or lower --image-size"
            ) from error
        return torch.from_numpy(np.memmap(file, dtype=np.uint8, mode="r+", shape=(size,)))


T = TypeVar("T")


def prefetch(items: Iterator[T]) -> Iterator[T]:
    """The same items in the same order. A thread makes the next item while one is in use."""
    end = object()
    with ThreadPoolExecutor(1, "prefetch") as thread:
        pending = thread.submit(next, items, end)
        while (item := pending.result()) is not end:
            pending = thread.submit(next, items, end)
            yield item  # type: ignore[misc]
