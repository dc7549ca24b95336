"""Textures larger than the network's, sampled from the photos themselves.

A photo has more pixels than the network sees. Its noise is smoothed, its light is taken off, and
its paint is brought into the texture by the flow at full size. Photos share a texel by their
confidence and their sharpness. What no photo shows is the network's texture, enlarged. Work is done
in bands of rows, so that memory grows with the photo and the texture alone.
"""

from __future__ import annotations

import numpy as np
from PIL import Image

from uvtex.imaging.full_size.photo_texels import (
    COARSE,
    WHOLE,
    PhotoTexels,
    ViewGeometry,
    bands,
    bilinear,
    linear_of,
    srgb,
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

SHARPEST = 4
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
        tone = self._tone(texture)
        ground = np.asarray(
            Image.fromarray(texture).resize((self.size, self.size), Image.Resampling.BICUBIC)
        )
        top = 65535 if deep else 255
        out = np.empty((self.size, self.size, 3), np.uint16 if deep else np.uint8)
        for rows in bands(self.size):
            paint = self._colour[rows] / np.maximum(self._weight[rows], 1e-12)[..., None]
            paint = paint * self._enlarged(tone, rows)
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

    def _tone(self, texture: np.ndarray) -> np.ndarray:
        """The gain that brings the photos' paint to the network's in the mean of each texel.

        [S, S, 3]. The light is known at the network's size only, so it is wrong within a pixel that
        shows a shadow's edge; the network's texture is right in the mean.
        """
        side = len(texture)
        sums = np.zeros((side, side, 4))
        edges = (np.arange(self.size) * side) // self.size
        for rows in bands(self.size):
            sure = (self.confidence[rows] > FIRM).astype(np.float32)[..., None]
            paint = self._colour[rows] / np.maximum(self._weight[rows], 1e-12)[..., None]
            both = np.concatenate([srgb(paint) * sure, sure], axis=2)
            flat = edges[rows][:, None] * side + edges
            for k in range(4):
                counts = np.bincount(flat.ravel(), both[..., k].ravel(), side * side)
                sums[..., k] += counts.reshape(side, side)
        known = sums[..., 3:] > 0.5 * (self.size / side) ** 2
        mean = sums[..., :3] / np.maximum(sums[..., 3:], 1e-9)
        right, mean = (linear_of(x) for x in (texture / 255.0, mean))
        gain = ((right + 0.02) / (mean + 0.02)).clip(0.7, 1.4)
        return np.where(known, gain, 1.0).astype(np.float32)

    def _enlarged(self, small: np.ndarray, rows: slice) -> np.ndarray:
        """Rows of ``small`` [S, S, C], enlarged to the texture's size, bilinear."""
        side = len(small)
        count = len(range(*rows.indices(self.size)))
        y = (np.arange(rows.start, rows.start + count) + 0.5) * side / self.size - 0.5
        x = (np.arange(self.size) + 0.5) * side / self.size - 0.5
        return bilinear(small, np.meshgrid(y, x, indexing="ij"))
