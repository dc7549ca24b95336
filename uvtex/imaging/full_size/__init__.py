"""Textures larger than the network's, sampled from the photos themselves.

A photo has more pixels than the network sees. Its light is taken off, its noise is smoothed, and
its paint is brought into the texture by the flow at full size. Photos share a texel by their
confidence and their sharpness. What no photo shows is the network's texture, enlarged. Work is done
in bands of rows, so that memory grows with the photo and the texture alone.
"""

from __future__ import annotations

import numpy as np
from PIL import Image

from uvtex.imaging.full_size.photo_paint import bilinear, srgb
from uvtex.imaging.full_size.photo_texels import (
    COARSE,
    WHOLE,
    PhotoTexels,
    ViewGeometry,
    bands,
)
from uvtex.imaging.full_size.sharpness import detail_of, weights

__all__ = [
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
DOUBTFUL, FIRM = 0.05, 0.3
"""Confidence below which the network's texture is taken, and above which the photos are."""
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

    def add(self, photo: PhotoTexels, sharp: np.ndarray | None = None) -> None:
        """Adds what a photo shows.

        Args:
            sharp: float32 [n, n], the share of its pixels that count in blocks of the texture:
                see :func:`uvtex.imaging.full_size.sharpness.weights`. None: 1.
        """
        for rows in bands(self.size):
            row, column, paint, sure, fine = photo.of(rows)
            weight = sure
            if sharp is not None:
                at = (np.stack([row + rows.start, column]) + 0.5) * len(sharp) / self.size - 0.5
                share = bilinear(sharp[..., None], at)[:, 0]  # its pixels are as if fewer
                weight = sure * share * (fine + COARSE) / (fine * share + COARSE)
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
        for rows in bands(self.size):
            paint = self._colour[rows] / np.maximum(self._weight[rows], 1e-12)[..., None]
            seen = srgb(paint)
            share = (self.confidence[rows] - DOUBTFUL) / (FIRM - DOUBTFUL)
            share = share.clip(0, 1)[..., None]
            mixed = ground[rows] / np.float32(255) * (1 - share) + seen * share
            out[rows] = (mixed * top).round().astype(out.dtype)
        return out

    def layers(self, unknown: np.ndarray) -> np.ndarray:
        """Where each texel comes from: uint8 [size, size] of SEEN, MENDED and UNKNOWN.

        Args:
            unknown: bool [S, S], texels that the network has no ground for, at its own size.
        """
        picture = Image.fromarray(np.where(unknown, UNKNOWN, MENDED).astype(np.uint8))
        found = np.array(picture.resize((self.size, self.size), Image.Resampling.NEAREST))
        found[self.confidence > DOUBTFUL] = SEEN
        return found
