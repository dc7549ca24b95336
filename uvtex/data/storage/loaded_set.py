"""A data set in memory: its pictures, UV maps and plates, and the index of each record."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from uvtex.data.recolour import Unpainted
from uvtex.data.storage.buffers import ImageStack, Indices
from uvtex.data.storage.digests import Table
from uvtex.data.storage.views import Plates, Views
from uvtex.imaging.camera_bank import MOST_LIVERIES

COLUMNS = ("view", "texture", "mask", "map", "plate")
"""Columns of :attr:`LoadedSet.index`."""


@dataclass(frozen=True)
class Maps:
    """The UV maps of all K cameras, on the training device."""

    flow: Tensor  # float32 [K, 2, S, S] in [-1, 1]: where each texel is seen
    seen: Tensor  # bool [K, 1, S, S]
    paint: Tensor  # int16 [K, 2, kS, kS], see uvtex.imaging.camera_bank.encode
    trust: Tensor  # float32 [K, 1, S, S] in [0, 1]: confidence in the place of a pixel's paint

    def first(self, count: int) -> Maps:
        """The first ``count`` cameras."""
        return Maps(*(part[:count] for part in (self.flow, self.seen, self.paint, self.trust)))


@dataclass(frozen=True)
class IndexRows:
    """Rows of :attr:`LoadedSet.index`: int64 [..., 5] by COLUMNS, on the host and on the device."""

    host: Tensor
    device: Tensor

    def part(self, name: str) -> Indices:
        """One column."""
        column = COLUMNS.index(name)
        return Indices(self.host[..., column], self.device[..., column])

    def flat(self) -> IndexRows:
        """Rows [V, B, 5] as [V * B, 5]."""
        return IndexRows(self.host.flatten(0, 1), self.device.flatten(0, 1))

    def chunks(self, size: int) -> Iterator[IndexRows]:
        """Chunks of up to ``size`` rows, along the last dimension before the columns."""
        for start in range(0, self.host.shape[-2], size):
            part = (..., slice(start, start + size), slice(None))
            yield IndexRows(self.host[part], self.device[part])


@dataclass(frozen=True)
class PictureFiles:
    """The files that views, textures and UV maps were read from, by their numbers in the index."""

    folder: Path
    views: str
    """All views in one string, separated by NULs."""
    textures: Sequence[str]
    maps: Sequence[str | None]
    """A file of each camera."""
    stiffness: float | None = None
    """Which map of each file, see :func:`uvtex.imaging.uv_maps.array_names`."""


@dataclass(frozen=True)
class LoadedSet:
    """The content of a data set, at one size."""

    device: torch.device
    """The training device."""
    views: Views
    textures: ImageStack
    masks: ImageStack
    maps: Maps | None
    """None unless every record has a UV map."""
    plates: Plates | None
    """None unless every record has a plate, and all plates are for views of this size."""
    index: Tensor  # int64 [N, 5] on the host, by COLUMNS
    paints: Table | None
    """Digests of the textures from which the views are composed. None where views are files."""
    unpainted: Unpainted | None
    """The paint that all training liveries share. None where views are files."""
    cameras: int | None = None
    """The first so many cameras have views outside the test side. None: all cameras have."""
    files: PictureFiles | None = None
    """The files of views and textures. None where views are composed."""

    @property
    def size(self) -> int:
        """Side of every picture, in pixels."""
        return self.views.size

    @property
    def covered(self) -> Tensor | None:
        """Texels that some camera sees, bool [1, S, S]. None without UV maps.

        Cameras of the test side alone do not count: validation is measured over these texels.
        """
        return None if self.maps is None else self.maps.seen[: self.cameras].any(dim=0)

    @property
    def mapped(self) -> bool:
        """Whether some pictures are in a file because they do not fit in memory."""
        return any(part.mapped for part in (self.views, self.textures, self.masks))

    @property
    def plates_are_cameras(self) -> bool:
        """Whether there is one plate for each UV map, and both have the same numbers."""
        return self.plates is not None and bool((self.index[:, 3] == self.index[:, 4]).all())

    def rows(self, samples: Tensor) -> IndexRows:
        """The index rows of ``samples``, int64 of any shape on the host. One transfer moves all."""
        rows = self.index[samples]
        return IndexRows(rows, rows.to(self.device))

    def take_views(self, rows: IndexRows) -> Tensor:
        """The views of ``rows`` [B, 5], uint8 [B, 3, S, S]. See :meth:`ImageStack.take`."""
        return self.views.take(*(rows.part(name) for name in ("view", "texture", "plate")))

    def places(self, samples: Sequence[int], name: str) -> Tensor:
        """The M distinct values of column ``name`` of ``samples``, int64 [M], ascending."""
        places: Tensor = torch.unique(self.index[samples, COLUMNS.index(name)])
        return places


def train_textures(index: Tensor, trains: Tensor | Sequence[int]) -> Tensor:
    """Indices of up to MOST_LIVERIES textures of the training side, int64."""
    used: Tensor = torch.unique(index[trains, COLUMNS.index("texture")])
    return used[:: max(1, -(-len(used) // MOST_LIVERIES))]
