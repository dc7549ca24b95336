"""Textures larger than the network's, sampled from the photos themselves.

A photo has more pixels than the network sees. Its noise is smoothed, its light is taken off, its
paint is brought into the texture by the flow at full size, and what no photo shows is the network's
texture, enlarged. Work
is done in bands of rows, so that memory grows with the photo and the texture alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from scipy import ndimage

from uvtex.imaging.compose import linear_from_srgb, srgb_from_linear
from uvtex.imaging.framing import Box
from uvtex.imaging.noise import noise_level, without_noise
from uvtex.imaging.view_mesh import full_flow

BAND = 128
"""Rows of the texture that are worked on at once."""
DIM = 0.04
"""Light on white paint at which a texel is half as sure as in full light."""
COARSE = 0.35
"""Photo pixels to a texel's width at which the texel is half as sure as a finely seen one."""
RIM = 1.0
"""Distance to the edge of the paint, in points of the UV map, from which on a texel is fully sure.

A photo's pixel at the edge also shows what is beside the paint.
"""
WHOLE = 0.95
"""Share of a pixel that must show paint for its light to be known."""
SHARPEST = 4
"""Power of the confidence by which several photos share a texel: the surest nearly decides."""
DOUBTFUL, FIRM = 0.05, 0.3
"""Confidence below which the network's texture is taken, and above which the photos are."""
SPARSE = 4
"""Every so many texels tell the noise of the photo."""
UNKNOWN, MENDED, SEEN = 0, 128, 255
"""Values of the layer that says where each texel comes from."""


@dataclass(frozen=True)
class ViewGeometry:
    """What a network knows of one view: its UV map, its light, and its place in the frame."""

    uv: np.ndarray  # float32 [h, w, 2] in [0, 1], u right and v up, NaN without paint
    falling: np.ndarray  # float32 [S, S, 3], linear light that white paint adds
    reflected: np.ndarray  # float32 [S, S, 3], linear light of the view with black paint
    share: np.ndarray  # float32 [S, S], share of each pixel that shows paint
    pose: np.ndarray  # float64 [2, 3], from the camera's picture to the view, on [-1, 1]
    trust: np.ndarray | None = None  # float32 [S, S] in [0, 1], confidence in `uv`; None: exact


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

    def add(
        self, photo: np.ndarray, square: Box, view: ViewGeometry, opaque: np.ndarray | None = None
    ) -> None:
        """Adds what a photo shows.

        Args:
            photo: uint8 or uint16 [H, W, 3], upright sRGB.
            square: the part of the photo that the network saw as its view.
            opaque: uint8 [H, W]: pixels below 255 show no car. None: all are opaque.
        """
        flow, scale = full_flow(view.uv, self.size)
        pixels, shrink = _reduced(photo, scale, square.side)
        some = flow[::SPARSE, ::SPARSE][scale[::SPARSE, ::SPARSE] > 0].astype(np.float64)
        level = noise_level(pixels, *_rows_columns(some, square, view.pose, shrink))
        pixels = without_noise(pixels, level)
        table = _table(pixels.dtype)
        light = _light_of_paint(view)
        depth = ndimage.distance_transform_edt(np.isfinite(view.uv[..., 0])).astype(np.float32)
        for rows in self._bands():
            row, column = np.nonzero(scale[rows] > 0)
            if not len(row):
                continue
            at = flow[rows][row, column].astype(np.float64)
            lit = _bilinear(light, _in_pixels(at, len(light)))
            x, y = _in_photo(at, square, view.pose)
            inside = _inside(x, y, photo.shape, opaque)
            linear = _cubic(pixels, table, x * shrink, y * shrink)
            falling, reflected = lit[:, :3], lit[:, 3:]
            paint = (linear - reflected) / np.maximum(falling, DIM / 4)
            strength = falling.mean(axis=1)
            fine = scale[rows][row, column] * square.side / 2
            deep = _bilinear(depth[..., None], _in_pixels(at, len(depth)))[:, 0]
            inside *= ((deep - RIM / 2) / RIM).clip(0, 1)
            sure = inside * strength / (strength + DIM) * fine / (fine + COARSE)
            if view.trust is not None:
                place = _in_pixels(at, len(view.trust))
                sure *= _bilinear(view.trust[..., None], place)[:, 0]
            weight = sure**SHARPEST
            self._colour[rows][row, column] += paint.clip(0, 1) * weight[:, None]
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
        for rows in self._bands():
            paint = self._colour[rows] / np.maximum(self._weight[rows], 1e-12)[..., None]
            paint = paint * self._enlarged(tone, rows)
            seen = _srgb(paint)
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

    def _bands(self) -> Iterator[slice]:
        return (slice(start, start + BAND) for start in range(0, self.size, BAND))

    def _tone(self, texture: np.ndarray) -> np.ndarray:
        """The gain that brings the photos' paint to the network's in the mean of each texel.

        [S, S, 3]. The light is known at the network's size only, so it is wrong within a pixel that
        shows a shadow's edge; the network's texture is right in the mean.
        """
        side = len(texture)
        sums = np.zeros((side, side, 4))
        edges = (np.arange(self.size) * side) // self.size
        for rows in self._bands():
            sure = (self.confidence[rows] > FIRM).astype(np.float32)[..., None]
            paint = self._colour[rows] / np.maximum(self._weight[rows], 1e-12)[..., None]
            both = np.concatenate([_srgb(paint) * sure, sure], axis=2)
            flat = edges[rows][:, None] * side + edges
            for k in range(4):
                counts = np.bincount(flat.ravel(), both[..., k].ravel(), side * side)
                sums[..., k] += counts.reshape(side, side)
        known = sums[..., 3:] > 0.5 * (self.size / side) ** 2
        mean = sums[..., :3] / np.maximum(sums[..., 3:], 1e-9)
        right, mean = (_linear(x) for x in (texture / 255.0, mean))
        gain = ((right + 0.02) / (mean + 0.02)).clip(0.7, 1.4)
        return np.where(known, gain, 1.0).astype(np.float32)

    def _enlarged(self, small: np.ndarray, rows: slice) -> np.ndarray:
        """Rows of ``small`` [S, S, C], enlarged to the texture's size, bilinear."""
        side = len(small)
        count = len(range(*rows.indices(self.size)))
        y = (np.arange(rows.start, rows.start + count) + 0.5) * side / self.size - 0.5
        x = (np.arange(self.size) + 0.5) * side / self.size - 0.5
        return _bilinear(small, np.meshgrid(y, x, indexing="ij"))


def _srgb(linear: np.ndarray) -> np.ndarray:
    return srgb_from_linear(torch.from_numpy(np.ascontiguousarray(linear))).numpy()


def _linear(srgb: np.ndarray) -> np.ndarray:
    return linear_from_srgb(torch.from_numpy(srgb)).numpy()


def _table(kind: np.dtype) -> np.ndarray:
    """The linear light of each value of a photo's channel, float32."""
    count = 65536 if kind == np.uint16 else 256
    return linear_from_srgb(torch.arange(count, dtype=torch.float64) / (count - 1)).float().numpy()


def _reduced(photo: np.ndarray, scale: np.ndarray, side: float) -> tuple[np.ndarray, float]:
    """The photo, halved while its pixels are finer than texels, and its size in parts of it."""
    seen = scale[scale > 0]
    fine = float(np.median(seen)) * side / 2 if len(seen) else 1.0
    shrink = 1.0
    while fine * shrink >= 2 and min(photo.shape[:2]) >= 4:
        height, width = (n // 2 * 2 for n in photo.shape[:2])
        even = photo[:height, :width]
        total = even[::2, ::2].astype(np.uint32) + even[1::2, ::2] + even[::2, 1::2]
        photo = ((total + even[1::2, 1::2] + 2) // 4).astype(photo.dtype)
        shrink /= 2
    return photo, shrink


def _light_of_paint(view: ViewGeometry) -> np.ndarray:
    """Falling and reflected light where a pixel shows paint alone, [S, S, 6].

    A pixel at the edge of the paint has only a part of the falling light, and the light of what is
    beside it. It gets the light of the nearest pixels of paint alone.
    """
    both = np.concatenate([view.falling, view.reflected], axis=2)
    whole = view.share >= WHOLE
    if not whole.any():
        return both
    nearest = ndimage.distance_transform_edt(~whole, return_distances=False, return_indices=True)
    filled: np.ndarray = both[nearest[0], nearest[1]]
    return filled


def _in_pixels(at: np.ndarray, side: int) -> np.ndarray:
    """Rows and columns [2, N] of points [N, 2] on [-1, 1], in a picture of ``side`` pixels."""
    return ((at + 1) * (side / 2) - 0.5).T[::-1]


def _in_photo(at: np.ndarray, square: Box, pose: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Points [N, 2] of the camera's picture, in pixels of the photo: x and y, pixel edges whole."""
    moved = at @ pose[:, :2].T + pose[:, 2]
    x, y = ((moved + 1) / 2 * square.side).T
    return square.left + x, square.top + y


def _rows_columns(
    at: np.ndarray, square: Box, pose: np.ndarray, shrink: float
) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns, int64 [N] each, of points [N, 2] in the photo shrunk by ``shrink``."""
    x, y = _in_photo(at, square, pose)
    return (y * shrink).astype(np.int64), (x * shrink).astype(np.int64)


def _inside(
    x: np.ndarray, y: np.ndarray, shape: tuple[int, ...], opaque: np.ndarray | None
) -> np.ndarray:
    """Which points of the photo are in it, and opaque: float32 [N]."""
    height, width = shape[:2]
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    if opaque is not None:
        column = x.clip(0, width - 1).astype(np.int64)
        row = y.clip(0, height - 1).astype(np.int64)
        inside &= opaque[row, column] == 255
    return inside.astype(np.float32)


def _bilinear(picture: np.ndarray, at: Sequence[np.ndarray] | np.ndarray) -> np.ndarray:
    """The values [..., C] of ``picture`` [H, W, C] at rows and columns, two arrays [...]."""
    channels = np.moveaxis(picture, 2, 0)
    return np.stack(
        [ndimage.map_coordinates(c, at, order=1, mode="nearest") for c in channels], axis=-1
    )


def _cubic(photo: np.ndarray, table: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The linear light [N, 3] of the photo at points in pixels, pixel edges whole.

    It is interpolated by the cubic of Keys (1981) with a = -0.5.
    """
    height, width = photo.shape[:2]
    column, row = np.floor(x - 0.5).astype(np.int64), np.floor(y - 0.5).astype(np.int64)
    across, down = (
        _keys((value - 0.5 - whole).astype(np.float32)) for value, whole in ((x, column), (y, row))
    )
    columns = [(column + k - 1).clip(0, width - 1) for k in range(4)]
    total = np.zeros((len(x), 3), np.float32)
    for j in range(4):
        at = (row + j - 1).clip(0, height - 1)
        line = sum(table[photo[at, columns[k]]] * across[k][:, None] for k in range(4))
        total += line * down[j][:, None]
    return total.clip(0, 1)


def _keys(t: np.ndarray) -> tuple[np.ndarray, ...]:
    """The weights of four neighbours, for points that lie ``t`` in [0, 1) behind the second."""
    return (
        ((-0.5 * t + 1) * t - 0.5) * t,
        (1.5 * t - 2.5) * t * t + 1,
        ((-1.5 * t + 2) * t + 0.5) * t,
        (0.5 * t - 0.5) * t * t,
    )
