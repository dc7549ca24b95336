"""Digests of a data set's records, by what is seen of them and not by the names of files.

Of views that are composed it is that of their textures and plates: devices round such views
differently, and there are many more of them. A record counts by its contents alone, so that masks
in one file for a camera and in one for each view give the same.
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
"""Bytes of pictures that are fetched at once."""
ROWS = 32
"""Rows of a tensor that are brought to the host at once."""
LENGTH = 32
"""Bytes of a SHA-256."""

Table = NDArray[np.uint8]
"""Digests [n, LENGTH]."""


def of_stack(stack: ImageStack, places: Tensor) -> Table:
    """Of the pictures at ``places`` int64 [n] on the host, each one read once."""
    device = torch.device("cpu") if stack.mapped else stack.pixels.device
    some, back = torch.unique(places, return_inverse=True)
    at_once = max(1, AT_ONCE // max(1, stack.pixels[:1].nbytes))
    tables = []
    for part in some.split(at_once):
        tables.append(each(stack.take(Indices(part, part.to(device)))))
    table: Table = np.concatenate(tables)[back.numpy()]
    return table


def each(*tensors: Tensor) -> Table:
    """Of each row of ``tensors`` [n, ...] together."""
    made = []
    for parts in zip(*(torch.split(tensor, ROWS) for tensor in tensors), strict=True):
        arrays = [part.cpu().numpy() for part in parts]
        for row in zip(*arrays, strict=True):
            made.append(hashlib.sha256(b"".join(part.tobytes() for part in row)).digest())
    return np.frombuffer(b"".join(made), np.uint8).reshape(-1, LENGTH)


def joined(tables: Sequence[Table], *more: NDArray[np.generic]) -> str:
    """Of records that have a row in each of ``tables``, and of ``more``: 16 hexadecimal digits."""
    digest = hashlib.sha256()
    for table in (*tables, *more):
        digest.update(f"{table.shape}".encode())
        digest.update(np.ascontiguousarray(table).tobytes())
    return digest.hexdigest()[:16]
