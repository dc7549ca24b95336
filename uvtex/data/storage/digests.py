"""Digests of a data set's records, by content and not by file name.

A composed view is represented by the digests of its texture and its plate. Devices round composed
views differently, and there are many more views than textures and plates. The digest of a record
depends on its contents alone: one mask file for a camera and equal mask files for each view give
the same digest.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from uvtex.data.storage.buffers import ImageStack, Indices

AT_ONCE = 32 * 2**20
"""Bytes of pictures in one fetch."""
ROWS = 32
"""Rows of a tensor in one transfer to the host."""
LENGTH = 32
"""Bytes of a SHA-256 digest."""

Table = NDArray[np.uint8]
"""Digests [n, LENGTH]."""


def of_stack(stack: ImageStack, places: Tensor) -> Table:
    """Digests of the pictures at ``places``, int64 [n] on the host.

    Each picture is read once.
    """
    device = torch.device("cpu") if stack.mapped else stack.pixels.device
    some, back = torch.unique(places, return_inverse=True)
    at_once = max(1, AT_ONCE // max(1, stack.pixels[:1].nbytes))
    tables = []
    for part in some.split(at_once):
        tables.append(each(stack.take(Indices(part, part.to(device)))))
    table: Table = np.concatenate(tables)[back.numpy()]
    return table


def each(*tensors: Tensor) -> Table:
    """Digests of the n rows of ``tensors`` [n, ...]. A digest covers that row of every tensor."""
    made = []
    for parts in zip(*(torch.split(tensor, ROWS) for tensor in tensors), strict=True):
        arrays = [part.cpu().numpy() for part in parts]
        for row in zip(*arrays, strict=True):
            made.append(hashlib.sha256(b"".join(part.tobytes() for part in row)).digest())
    return np.frombuffer(b"".join(made), np.uint8).reshape(-1, LENGTH)


def joined(tables: Sequence[Table], *more: NDArray[np.generic]) -> str:
    """One digest of ``tables`` and of ``more``, in 16 hexadecimal digits.

    Each record has a row in each of ``tables``.
    """
    digest = hashlib.sha256()
    for table in (*tables, *more):
        digest.update(f"{table.shape}".encode())
        digest.update(np.ascontiguousarray(table).tobytes())
    return digest.hexdigest()[:16]
