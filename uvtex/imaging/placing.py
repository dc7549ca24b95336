"""How a photo lies to its camera: shift and scale, by what no livery changes.

A camera's light maps hold glass, tyres, outline and backdrop as every photo of the camera shows
them. First the orientation of edges is compared at several scales, with the paint in several greys,
so that only edges remain that any paint leaves (:mod:`uvtex.imaging.map_estimation.registration`).
Then shift and scale are refined by Gauss-Newton steps on the pixels without paint around the car
(Lucas and Kanade 1981), with Tukey's weights. Brightness and contrast of each channel are free, as
in the enhanced correlation coefficient of Evangelidis and Psarakis (2008).

A place counts only if it explains these pixels better than the photo's own place does, by more than
their blocks differ among themselves.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy import ndimage

from uvtex.imaging.compose import srgb_from_linear
from uvtex.imaging.full_size import ViewGeometry
from uvtex.imaging.map_estimation.registration import (
    FARTHEST,
    STILL,
    edge_reference,
    place_between,
)

MARGIN = 1.2
"""Side of the picture that is compared, in sides of the view: room to move on all sides."""
SCALES = np.exp(np.linspace(-FARTHEST, FARTHEST, 17))
"""The scales at which edges are compared."""
GREYS = (0.03, 0.2, 0.7)
"""Linear greys of the paint in the pictures whose edges are averaged."""
NEAR = 0.06
"""Width of the ring around the paint whose pixels are compared, in sides of the view."""
BLUR = 1.0
"""Standard deviation of the blur of what is compared, in pixels: interpolation blurs by chance."""
CLEAR = 3.0
"""Distance from the paint from which on the blur brings none of it."""
SMALLEST = 96
"""Least side of the light, in pixels. Coarser light gave errors of a quarter of a pixel of 64."""
FEWEST = 300
"""Least number of pixels to compare."""
DISTINCT = 1.7
"""Least fit of the edges, in parts of the best fit at another place.

Noise, photos of other cameras and photos beyond the bound gave 1.1 to 1.7, photos within it 1.9 to
2.6, with light of 96 and 256 pixels.
"""
SIGNIFICANT = 3.0
"""Standard errors by which a place must fit better than the photo's own."""
STEPS = 15
"""Most Gauss-Newton steps."""
TUKEY = 4.0
"""Difference, in standard deviations, from which on a pixel does not count."""
LEAST_NOISE = 0.004
"""Least standard deviation of a pixel, of 1: about a step of 8 bits."""
BLOCK = 1 / 16
"""Side of the blocks of pixels that count as independent, in sides of the view."""


@dataclass(frozen=True)
class Placement:
    """Where a photo shows what its camera shows: at ``shift + scale * p``, for points p of [-1, 1].

    A photo that is used as it lies has no shift and the scale 1.
    """

    shift: tuple[float, float]
    scale: float
    known: bool
    """Whether the place was found.

    If not, the photo lies beyond FARTHEST, or shows other things.
    """

    @property
    def moved(self) -> bool:
        """Whether the photo is to be used elsewhere than it lies."""
        return self.shift != (0.0, 0.0) or self.scale != 1.0


AS_IT_LIES = Placement((0.0, 0.0), 1.0, known=True)
UNKNOWN = Placement((0.0, 0.0), 1.0, known=False)


def can_place(view: ViewGeometry) -> bool:
    """Whether the light is known finely enough, and the view is not moved by a pose."""
    return len(view.reflected) >= SMALLEST and np.array_equal(view.pose, np.eye(2, 3))


def place(picture: np.ndarray, valid: np.ndarray, view: ViewGeometry) -> Placement:
    """How a photo lies to the camera of ``view``, for which :func:`can_place` holds.

    Args:
        picture: uint8 [M, M, 3], sRGB: the view and what is around it, MARGIN times its side, with
            pixels as large as those of the view's light.
        valid: bool [M, M]: pixels that the photo has.
    """
    side = len(view.reflected)
    paint = _paint_share(view.uv, side) > 0
    if not paint.any():
        return UNKNOWN
    ring = ndimage.distance_transform_edt(~paint)
    compared = (ring > CLEAR) & (ring <= NEAR * side)
    start, distinct = _by_edges(picture, view)
    if compared.sum() < FEWEST or distinct < DISTINCT:
        return UNKNOWN
    fit = _Fit(picture, valid, _srgb(view.reflected), compared)
    found = fit.refined(start)
    if found is None or np.abs(found).max() > 2 * FARTHEST or abs(found[2]) > FARTHEST:
        return UNKNOWN
    rows, columns = np.nonzero(paint)
    at = (np.stack([columns, rows], axis=1) + 0.5) / side * 2 - 1
    moves = found[:2] + (np.exp(found[2]) - 1) * at
    moved = np.sqrt((moves**2).sum(axis=1).mean()) * side / 2
    if moved <= STILL or fit.better(found) < SIGNIFICANT:
        return AS_IT_LIES
    return Placement((float(found[0]), float(found[1])), float(np.exp(found[2])), known=True)


def _srgb(linear: np.ndarray) -> np.ndarray:
    return srgb_from_linear(torch.from_numpy(np.ascontiguousarray(linear))).numpy()


def _blurred(picture: np.ndarray) -> np.ndarray:
    blurred: np.ndarray = ndimage.gaussian_filter(picture, (BLUR, BLUR, 0))
    return blurred


def _paint_share(uv: np.ndarray, side: int) -> np.ndarray:
    """The share of each pixel that shows paint, [side, side]."""
    painted = torch.from_numpy(np.isfinite(uv[..., 0])).float()[None, None]
    share: np.ndarray = torch.nn.functional.adaptive_avg_pool2d(painted, side)[0, 0].numpy()
    return share


def _by_edges(picture: np.ndarray, view: ViewGeometry) -> tuple[np.ndarray, float]:
    """The place (x, y, log of the scale) where the edges fit best, and the ratio of the fits."""
    side = len(view.reflected)
    shown = np.stack([_srgb(view.reflected + grey * view.falling) * 255 for grey in GREYS])
    reference = edge_reference(torch.from_numpy(shown).permute(0, 3, 1, 2))
    middle = (np.arange(side) + 0.5) / side * 2 - 1
    frame = np.stack(np.meshgrid(middle, middle), axis=2)
    best, distinct = np.zeros(3), -1.0
    for scale in SCALES:
        seen = torch.from_numpy(_sampled(picture.astype(np.float32), frame * scale))
        shift, ratio = place_between(reference, seen.permute(2, 0, 1))
        if ratio > distinct:
            best = np.array([*(shift.numpy() * 2 / side * scale), np.log(scale)])
            distinct = ratio
    return best, distinct


def _sampled(picture: np.ndarray, at: np.ndarray) -> np.ndarray:
    """The values [..., C] of a picture [M, M, C] at points [..., 2] of the view, bilinear."""
    column, row = np.moveaxis((at / MARGIN + 1) * (len(picture) / 2) - 0.5, -1, 0)
    channels = np.moveaxis(picture, 2, 0)
    return np.stack(
        [ndimage.map_coordinates(c, [row, column], order=1, mode="nearest") for c in channels], -1
    )


class _Fit:
    """Gauss-Newton steps on the pixels without paint."""

    def __init__(
        self, picture: np.ndarray, valid: np.ndarray, known: np.ndarray, compared: np.ndarray
    ) -> None:
        shown = _blurred(picture / np.float32(255))
        step = len(shown) / MARGIN / 2  # pixels to a unit of the view
        across, down = (np.gradient(shown, axis=axis) * step for axis in (1, 0))
        whole = valid[..., None].astype(np.float32)
        self._layers = np.concatenate([shown, across, down, whole], axis=2)
        rows, columns = np.nonzero(compared)
        side = len(known)
        self._at = (np.stack([columns, rows], axis=1) + 0.5) / side * 2 - 1
        self._known = _blurred(known)[rows, columns].astype(np.float64)
        blocks = round(1 / BLOCK)
        self._block = rows * blocks // side * blocks + columns * blocks // side

    def refined(self, start: np.ndarray) -> np.ndarray | None:
        """The place where the pixels fit best near ``start``. None: too few are in the photo."""
        place, tone = start, np.repeat([[1.0], [0.0]], 3, axis=1)
        for _ in range(STEPS):
            found = self._step(place, tone, still=False)
            if found is None:
                return None
            nearer, tone = found
            last, place = place, nearer
            if np.abs(place - last).max() < 1e-5:
                break
        return place

    def better(self, place: np.ndarray) -> float:
        """By how many standard errors ``place`` fits better than the photo's own place."""
        one, sigma = self._losses(place, None)
        own, _ = self._losses(np.zeros(3), sigma)
        sums = np.bincount(self._block, own - one)
        return float(sums.sum() / max(np.sqrt((sums**2).sum()), 1e-12))

    def _losses(self, place: np.ndarray, sigma: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
        """Tukey's loss of each pixel [N], and the standard deviations, ``sigma`` if given."""
        tone = np.repeat([[1.0], [0.0]], 3, axis=1)
        for _ in range(STEPS):
            found = self._step(place, tone, still=True)
            if found is None:
                break
            tone = found[1]
        miss, _, inside = self._misses(place, tone)
        sigma = _deviation(miss[inside]) if sigma is None else sigma
        near = (1 - (miss / sigma / TUKEY) ** 2).clip(0, 1)
        return ((1 - near**3) * inside[:, None]).sum(axis=1), sigma

    def _misses(
        self, place: np.ndarray, tone: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Differences [N, 3], their slopes by the place [N, 3, 3], and the pixels of the photo."""
        scale = np.exp(place[2])
        layers = _sampled(self._layers, place[:2] + scale * self._at).astype(np.float64)
        shown, across, down = layers[:, :3], layers[:, 3:6], layers[:, 6:9]
        grows = scale * (across * self._at[:, :1] + down * self._at[:, 1:])
        miss = shown - tone[0] * self._known - tone[1]
        return miss, np.stack([across, down, grows], axis=2), layers[:, 9] > 0.99

    def _step(
        self, place: np.ndarray, tone: np.ndarray, still: bool
    ) -> tuple[np.ndarray, np.ndarray] | None:
        """Place and tone (contrast and brightness of each channel, [2, 3]) after one step.

        Args:
            still: the place stays.
        """
        miss, slopes, inside = self._misses(place, tone)
        if inside.sum() < FEWEST:
            return None
        sigma = _deviation(miss[inside])
        weight = (1 - (miss / sigma / TUKEY) ** 2).clip(0) ** 2 / sigma**2 * inside[:, None]
        normal, right = np.zeros((9, 9)), np.zeros(9)
        for c in range(3):
            full = np.zeros((len(miss), 9))
            full[:, :3] = 0 if still else slopes[:, c]
            full[:, 3 + c], full[:, 6 + c] = -self._known[:, c], -1
            normal += full.T @ (full * weight[:, c : c + 1])
            right += full.T @ (miss[:, c] * weight[:, c])
        normal += 1e-6 * np.trace(normal) / 9 * np.eye(9)
        step = -np.linalg.solve(normal, right)
        return place + step[:3], tone + step[3:].reshape(2, 3)


def _deviation(miss: np.ndarray) -> np.ndarray:
    """Standard deviation of each channel of [N, 3], by the median, which outliers do not move."""
    sigma: np.ndarray = np.maximum(np.median(np.abs(miss), axis=0) * 1.4826, LEAST_NOISE)
    return sigma
