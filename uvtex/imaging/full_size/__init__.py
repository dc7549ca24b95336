"""Textures larger than the network's, sampled from the photos themselves.

A photo has more pixels than the network sees. Its light is taken off, its noise is smoothed, and
its paint is brought into the texture by the flow at full size. Photos share a texel by their
confidence and their sharpness. What no photo shows is the network's texture, enlarged, but for a
rim of padding. Then the texels are made to agree with the pixels that show them, see
:mod:`uvtex.imaging.full_size.super_resolution`. Work is done in bands of rows and in tiles, so that
memory grows with the photos and the texture alone.
"""

from __future__ import annotations

import numpy as np
from PIL import Image
from scipy import ndimage

from uvtex.imaging.full_size.photo_paint import bilinear, srgb
from uvtex.imaging.full_size.photo_texels import (
    COARSE,
    WHOLE,
    PhotoTexels,
    Pixels,
    ViewGeometry,
    bands,
)
from uvtex.imaging.full_size.sharpness import detail_of, weights
from uvtex.imaging.full_size.super_resolution import around, resolved, tiles

__all__ = [
    "BESIDE",
    "DOUBTFUL",
    "MENDED",
    "SEEN",
    "UNKNOWN",
    "WHOLE",
    "FullTexture",
    "PhotoTexels",
    "ViewGeometry",
    "detail_of",
    "weights",
]

SHARPEST = 8
"""Power of the confidence by which several photos share a texel: the surest nearly decides."""
BLURRED = 4
"""Power of the sharpness by which the pixels of a photo count among those of others.

A blurred pixel shows more than its own texels. At power 1, one photo of three that was blurred by 4
pixels took .04 of SSIM more.
"""
DOUBTFUL, FIRM = 0.05, 0.3
"""Confidence below which the network's texture is taken, and above which the photos are."""
PADDED = 0.3
"""Confidence below which a texel beside a surer one starts with its paint.

Baked textures are padded so (dilation): what lies beside the rim of a panel is drawn with it.
"""
BESIDE = 40
"""Distance to a surer texel, in texels, up to which that is done."""
UNKNOWN, MENDED, SEEN = 0, 128, 255
"""Values of the layer that says where each texel comes from."""


class FullTexture:
    """A texture that photos are added to, one after the other.

    Args:
        size: side of the texture, in texels.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self._colour = np.zeros((size, size, 3), np.float32)  # linear, times weight
        self._weight = np.zeros((size, size), np.float32)
        self.confidence = np.zeros((size, size), np.float32)
        """The largest confidence of a photo in each texel, in [0, 1]; 0 where none shows it."""
        self._photos: list[tuple[PhotoTexels, np.ndarray | None]] = []

    def add(self, photo: PhotoTexels, sharp: np.ndarray | None = None) -> None:
        """Adds what a photo shows.

        Args:
            sharp: float32 [n, n], the share of its pixels that count in blocks of the texture:
                see :func:`uvtex.imaging.full_size.sharpness.weights`. None: 1.
        """
        self._photos.append((photo, sharp))
        for rows in bands(self.size):
            row, column, paint, sure, fine = photo.of(rows)
            weight = sure
            if sharp is not None:
                share = self._sharpness(sharp, row + rows.start, column)
                weight = sure * share * (fine + COARSE) / (fine * share + COARSE)  # as if fewer
            weight = weight**SHARPEST
            self._colour[rows][row, column] += paint * weight[:, None]
            self._weight[rows][row, column] += weight
            best = self.confidence[rows]
            best[row, column] = np.maximum(best[row, column], sure)

    def finish(self, texture: np.ndarray, deep: bool = False) -> np.ndarray:
        """The texture, [size, size, 3], uint16 if ``deep``, else uint8.

        Args:
            texture: uint8 [S, S, 3], the network's; it is enlarged where no photo is sure.
        """
        ground = np.asarray(
            Image.fromarray(texture).resize((self.size, self.size), Image.Resampling.BICUBIC)
        )
        top = 65535 if deep else 255
        out = np.empty((self.size, self.size, 3), np.uint16 if deep else np.uint8)
        for rows, columns in tiles(self.size):
            wide, tall = around(columns, self.size), around(rows, self.size)
            mixed = self._tile(ground, tall, wide)
            sure = self.confidence[tall, wide] > PADDED
            if sure.any():
                away, nearest = ndimage.distance_transform_edt(~sure, return_indices=True)
                free = away <= BESIDE
                mixed[free] = mixed[nearest[0][free], nearest[1][free]]
                pixels = [self._pixels(*one, tall, wide) for one in self._photos]
                mixed = resolved(mixed, free, pixels)
            inner = mixed[rows.start - tall.start :, columns.start - wide.start :]
            inner = inner[: rows.stop - rows.start, : columns.stop - columns.start]
            out[rows, columns] = (inner * top).round().astype(out.dtype)
        return out

    def _tile(self, ground: np.ndarray, rows: slice, columns: slice) -> np.ndarray:
        """A tile by interpolation, sRGB: float32 [h, w, 3] in [0, 1].

        Args:
            ground: uint8 [size, size, 3], the network's texture.
        """
        weight = np.maximum(self._weight[rows, columns], 1e-12)[..., None]
        seen = srgb(self._colour[rows, columns] / weight)
        share = (self.confidence[rows, columns] - DOUBTFUL) / (FIRM - DOUBTFUL)
        share = share.clip(0, 1)[..., None]
        mixed: np.ndarray = ground[rows, columns] / np.float32(255) * (1 - share) + seen * share
        return mixed

    def _pixels(
        self, photo: PhotoTexels, sharp: np.ndarray | None, rows: slice, columns: slice
    ) -> Pixels:
        """The pixels of a photo that show a tile, less sure where it is less sharp."""
        found = photo.pixels(rows, columns)
        if sharp is None:
            return found
        row, column = np.mgrid[rows, columns]
        share = self._sharpness(sharp, row, column).ravel() ** BLURRED
        return found._replace(sure=found.sure * (found.shares @ share))

    def _sharpness(self, sharp: np.ndarray, row: np.ndarray, column: np.ndarray) -> np.ndarray:
        """The sharpness of a photo at texels, [...]."""
        at = (np.stack([row, column]) + 0.5) * len(sharp) / self.size - 0.5
        return bilinear(sharp[..., None], at)[..., 0]

    def layers(self, unknown: np.ndarray) -> np.ndarray:
        """Where each texel comes from: uint8 [size, size] of SEEN, MENDED and UNKNOWN.

        Args:
            unknown: bool [S, S], texels that the network has no ground for, at its own size.
        """
        picture = Image.fromarray(np.where(unknown, UNKNOWN, MENDED).astype(np.uint8))
        found = np.array(picture.resize((self.size, self.size), Image.Resampling.NEAREST))
        found[self.confidence > DOUBTFUL] = SEEN
        return found
