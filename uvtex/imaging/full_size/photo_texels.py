"""What a photo shows of the texels of a large texture: their paint, and how surely."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from scipy import ndimage, sparse

from uvtex.imaging.bend import Bend
from uvtex.imaging.compose import linear_from_srgb, srgb_from_linear
from uvtex.imaging.framing import Box
from uvtex.imaging.full_size.photo_paint import CHANNELS, bilinear, cubic, paint_of
from uvtex.imaging.full_size.texel_areas import shares_of
from uvtex.imaging.noise import noise_level
from uvtex.imaging.view_mesh import full_flow

BAND = 128
"""Rows of the texture that are worked on at once."""
DIM = 0.04
"""Light on white paint at which a texel is half as sure as in full light."""
COARSE = 0.35
"""Photo pixels to a texel's width at which the texel is half as sure as a finely seen one."""
RIM = 1.5
"""Distance to the edge of the paint, in points of the UV map, from which on a texel is fully sure.

A photo's pixel at the edge also shows what is beside the paint.
"""
WHOLE = 0.95
"""Share of a pixel that must show paint for its light to be known."""
AROUND = 16
"""Pixels of the photo around its texels that are worked on: more than smoothing reaches."""
SPARSE = 16
"""Every so many texels tell the noise of the photo."""
COVERED = 0.6
"""Share of a pixel that texels of the texture must cover for its paint to be their mean."""


@dataclass(frozen=True)
class ViewGeometry:
    """What a network knows of one view: its UV map, its light, and its place in the frame."""

    uv: np.ndarray  # float32 [h, w, 2] in [0, 1], u right and v up, NaN without paint
    falling: np.ndarray  # float32 [S, S, 3], linear light that white paint adds
    reflected: np.ndarray  # float32 [S, S, 3], linear light of the view with black paint
    share: np.ndarray  # float32 [S, S], share of each pixel that shows paint
    pose: np.ndarray  # float64 [2, 3], from the camera's picture to the view, on [-1, 1]
    trust: np.ndarray | None = None  # float32 [S, S] in [0, 1], confidence in `uv`; None: exact
    bend: Bend | None = None  # of the camera's picture, before its pose; None: it is not bent

    def reduced(self, most: int) -> ViewGeometry:
        """The view with its light and its share reduced until they have at most ``most`` pixels.

        The reflected light is averaged in sRGB, as photos are: else edges lie elsewhere.
        """
        factor = -(-len(self.reflected) // most)
        if factor == 1:
            return self
        shown = srgb_from_linear(torch.from_numpy(self.reflected)).numpy()
        whole = np.concatenate([self.falling, shown, self.share[..., None]], axis=2)
        planes = torch.from_numpy(whole).permute(2, 0, 1)[None]
        small = F.adaptive_avg_pool2d(planes, len(whole) // factor)[0].permute(1, 2, 0)
        reflected = linear_from_srgb(small[..., 3:6]).numpy()
        falling, share = small[..., :3].numpy(), small[..., 6].numpy()
        return replace(self, falling=falling, reflected=reflected, share=share)

    def posed(self, at: np.ndarray) -> np.ndarray:
        """Where the view shows points [..., 2] of the camera's picture, both on [-1, 1]."""
        bent = at if self.bend is None else self.bend.moved(at)
        found: np.ndarray = bent @ self.pose[:, :2].T + self.pose[:, 2]
        return found

    def unposed(self, at: np.ndarray) -> np.ndarray:
        """The points [..., 2] of the camera's picture that the view shows at ``at``."""
        bent: np.ndarray = (at - self.pose[:, 2]) @ np.linalg.inv(self.pose[:, :2]).T
        return bent if self.bend is None else self.bend.back(bent)


def bands(size: int) -> Iterator[slice]:
    """The rows of a texture, those that are worked on at once together."""
    return (slice(start, start + BAND) for start in range(0, size, BAND))


class Texels(NamedTuple):
    """What a photo shows of N texels."""

    row: np.ndarray  # int64 [N]
    column: np.ndarray  # int64 [N]
    paint: np.ndarray  # float32 [N, 3] in [0, 1], linear
    sure: np.ndarray  # float32 [N] in [0, 1], the confidence: by light, photo pixels, edges, trust
    fine: np.ndarray  # float32 [N], photo pixels to a texel's width


class Pixels(NamedTuple):
    """The n pixels of a photo that show a tile of N texels."""

    shares: sparse.csr_array  # float32 [n, N], the share of each texel in each pixel; rows sum to 1
    paint: np.ndarray  # float32 [n, 3] in [0, 1], sRGB
    least: np.ndarray  # bool [n, 3]: the pixel is saturated, so the paint is the least it may be
    sure: np.ndarray  # float32 [n] in [0, 1], the mean confidence of the texels


class PhotoTexels:
    """A photo, of which bands of a texture are sampled.

    Args:
        photo: uint8 or uint16 [H, W, 3], upright sRGB.
        square: the part of the photo that the network saw as its view.
        size: side of the texture, in texels.
        opaque: uint8 [H, W]: pixels below 255 show no car. None: all are opaque.
    """

    def __init__(
        self,
        photo: np.ndarray,
        square: Box,
        view: ViewGeometry,
        size: int,
        opaque: np.ndarray | None = None,
    ) -> None:
        self.size = size
        self._square, self._view, self._opaque = square, view, opaque
        self._shape = photo.shape
        flow, scale = full_flow(view.uv, size)
        self._texel = np.flatnonzero(scale).astype(np.int32)
        """The texels that the camera sees, row by row."""
        self._at = flow.reshape(-1, 2)[self._texel]
        self._width = scale.ravel()[self._texel]
        pixels, self._shrink = _reduced(photo, self._width, square.side)
        some = self._at[::SPARSE].astype(np.float64)
        level = noise_level(pixels, *_rows_columns(some, square, view, self._shrink))
        self._light = _light_of_paint(view)
        self._corner, part = _part_at(pixels, *_rows_columns(some, square, view, self._shrink))
        self._paint = paint_of(part, level, self._light, view.share >= WHOLE, self._in_light)
        self._table = linear_from_srgb(torch.arange(65536) / 65535).numpy()
        painted = np.isfinite(view.uv[..., 0])
        self._depth = ndimage.distance_transform_edt(painted).astype(np.float32)

    def of(self, rows: slice, chosen: np.ndarray | None = None) -> Texels:
        """The texels of a band of rows, counted from its first, that the photo's camera sees.

        Args:
            chosen: bool, of the band: these texels alone.
        """
        some = self._in_rows(rows)
        if chosen is not None:
            some = some[chosen.ravel()[self._texel[some] - rows.start * self.size]]
        row, column = np.divmod(self._texel[some].astype(np.int64), self.size)
        x, y = self._in_paint(some)
        sure, fine = self._sure(some)
        return Texels(
            row - rows.start, column, cubic(self._paint.srgb, self._table, x, y), sure, fine
        )

    def pixels(self, rows: slice, columns: slice) -> Pixels:
        """The pixels that show a tile, as means of its texels, counted row by row.

        A texel is taken as a parallelogram in the photo, by its neighbours. A pixel at the tile's
        border that shows other texels too is left out, and so is one that shows the edge of a
        panel.
        """
        some = self._in_rows(rows)
        row, column = np.divmod(self._texel[some], self.size)
        inside = (column >= columns.start) & (column < columns.stop)
        some, row, column = some[inside], row[inside] - rows.start, column[inside] - columns.start
        middle = np.stack(self._in_paint(some), axis=1)
        sure, fine = self._sure(some)
        width = fine * self._shrink
        tile = rows.stop - rows.start, columns.stop - columns.start
        place, shares = shares_of(middle, row, column, width, tile, self._paint.saturated.shape)
        covered = shares.sum(axis=1)
        whole = np.flatnonzero(covered > COVERED)
        shares = sparse.diags_array(1 / covered[whole]) @ shares[whole]
        known = np.zeros(tile, np.float32)
        known[row, column] = sure
        paint = self._paint.srgb.reshape(-1, 3)[place[whole]] / np.float32(65535)
        least = (self._paint.saturated.ravel()[place[whole], None] & CHANNELS) > 0
        return Pixels(shares, paint, least, shares @ known.ravel())

    def _in_rows(self, rows: slice) -> np.ndarray:
        """Which of the seen texels lie in a band of rows: int64 [N]."""
        first, last = np.searchsorted(self._texel, [x * self.size for x in (rows.start, rows.stop)])
        return np.arange(first, last)

    def _in_paint(self, some: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Where some of the seen texels lie in the paint: x and y in pixels, pixel edges whole."""
        x, y = _in_photo(self._at[some].astype(np.float64), self._square, self._view)
        top, left = self._corner
        return x * self._shrink - left, y * self._shrink - top

    def _sure(self, some: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The confidence of some of the seen texels, and the photo pixels to their width."""
        view, square = self._view, self._square
        at = self._at[some].astype(np.float64)
        lit = bilinear(self._light, _in_pixels(at, len(self._light)))
        x, y = _in_photo(at, square, view)
        inside = _inside(x, y, self._shape, self._opaque)
        strength = lit[:, :3].mean(axis=1)
        fine = self._width[some] * square.side / 2
        deep = bilinear(self._depth[..., None], _in_pixels(at, len(self._depth)))[:, 0]
        inside *= ((deep - RIM / 2) / RIM).clip(0, 1)
        sure = inside * strength / (strength + DIM) * fine / (fine + COARSE)
        if view.trust is not None:
            place = _in_pixels(at, len(view.trust))
            sure *= bilinear(view.trust[..., None], place)[:, 0]
        return sure, fine

    def _in_light(self, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
        """The rows and columns in the light, float64 [2, ...], of pixels of the paint."""
        view, square = self._view, self._square
        top, left = self._corner
        x = (columns + left + 0.5) / self._shrink - square.left
        y = (rows + top + 0.5) / self._shrink - square.top
        at = view.unposed(np.stack([x, y], axis=-1) / (square.side / 2) - 1)
        return np.moveaxis((at[..., ::-1] + 1) * (len(self._light) / 2) - 0.5, -1, 0)


def _part_at(
    photo: np.ndarray, rows: np.ndarray, columns: np.ndarray
) -> tuple[tuple[int, int], np.ndarray]:
    """The part of a photo around pixels, with room to smooth, and its first row and column."""
    slices = []
    for at, count in zip((rows, columns), photo.shape, strict=False):
        low, high = (int(at.min()), int(at.max())) if len(at) else (0, 0)
        start = min(max(low - AROUND, 0), count - 1)
        slices.append(slice(start, max(high + AROUND, start + 1)))
    return (slices[0].start, slices[1].start), photo[slices[0], slices[1]]


def _reduced(photo: np.ndarray, width: np.ndarray, side: float) -> tuple[np.ndarray, float]:
    """The photo, halved while its pixels are finer than texels, and its size in parts of it.

    Args:
        width: of the texels, in halves of the square's ``side``.
    """
    fine = float(np.median(width)) * side / 2 if len(width) else 1.0
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


def _in_photo(at: np.ndarray, square: Box, view: ViewGeometry) -> tuple[np.ndarray, np.ndarray]:
    """Points [N, 2] of the camera's picture, in pixels of the photo: x and y, pixel edges whole."""
    x, y = ((view.posed(at) + 1) / 2 * square.side).T
    return square.left + x, square.top + y


def _rows_columns(
    at: np.ndarray, square: Box, view: ViewGeometry, shrink: float
) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns, int64 [N] each, of points [N, 2] in the photo shrunk by ``shrink``."""
    x, y = _in_photo(at, square, view)
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
