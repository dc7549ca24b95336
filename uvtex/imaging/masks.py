"""Masks for pictures that come without one: where is the car?

Three answers, from the least that can be known to the most:

- :func:`by_colour`, the reference: the car is what is saturated or dark. Needs nothing but the
  picture, and misses white and grey paint.
- :func:`by_backdrop`: the car is what differs from the backdrop that its row shows at the picture's
  left and right edge. Holds for showrooms, walls and floors; takes hard shadows for car.
- :func:`by_variation`: where one camera took several liveries, the paint is what changes between
  them. Windows, tyres and shadows do not, so that this is close to an exact mask of the paint.

How close each comes to exact masks: ``python -m benchmarks.masks DATA``, figures in docs/log.md.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image
from scipy import ndimage

ENOUGH_LIVERIES = 3
"""From so many liveries of one camera on, :func:`by_variation` is to be preferred."""


def by_colour(rgb: np.ndarray, saturation: float = 0.25, value: float = 0.3) -> np.ndarray:
    """Pixels more saturated than ``saturation`` or darker than ``value``, tidied.

    Args:
        rgb: uint8 [H, W, 3].
        saturation: HSV's, in [0, 1].
        value: HSV's, in [0, 1].

    Returns:
        bool [H, W], true where there is car.
    """
    hsv = np.asarray(Image.fromarray(rgb).convert("HSV"), np.float32) / 255
    return tidy((hsv[..., 1] > saturation) | (hsv[..., 2] < value))


def by_backdrop(rgb: np.ndarray, threshold: float = 13.0) -> np.ndarray:
    """Pixels that lie between neither of their row's edges' colours, tidied.

    A pixel is backdrop if its colour is near any mixture of its row's left and right edge: so may
    light fall off across a floor, and a horizon be tilted. Black corners, as turning a picture
    leaves them, count neither as edge nor as car.

    Args:
        rgb: uint8 [H, W, 3].
        threshold: least difference, of 255, where one level of colour weighs as three and one
            of brightness as a quarter: light varies across a backdrop, its colour does not.

    Returns:
        bool [H, W], true where there is car.
    """
    ycc = np.asarray(Image.fromarray(rgb).convert("YCbCr"), np.float32)
    picture = ycc * np.array([1 / 4, 3, 3], np.float32)
    inside = ~_corners(rgb)
    left, right = _edges(picture, inside)
    span = (right - left)[:, None]  # [H, 1, 3]
    along = ((picture - left[:, None]) * span).sum(axis=2) / np.maximum((span**2).sum(axis=2), 1e-6)
    backdrop = left[:, None] + np.clip(along, 0, 1)[..., None] * span
    difference = np.sqrt(((picture - backdrop) ** 2).sum(axis=2))
    return tidy((difference > threshold) & inside)


def _corners(rgb: np.ndarray) -> np.ndarray:
    """Black that reaches the picture's edge, and its blurred rim; bool [H, W].

    None where that is much of the picture: then it is a black studio.
    """
    black = np.pad(rgb.max(axis=2) < 24, 1, constant_values=True)
    parts, _ = ndimage.label(black)
    outer: np.ndarray = (parts == parts[0, 0])[1:-1, 1:-1]
    if not outer.any() or outer.mean() > 0.35:
        return np.zeros_like(outer)
    grown: np.ndarray = ndimage.binary_dilation(outer, iterations=max(1, round(len(rgb) / 64)))
    return grown


def _edges(picture: np.ndarray, inside: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Median of the first and of the last twentieth of each row's ``inside``, [H, 3] each."""
    width = max(2, picture.shape[1] // 20)
    left, right = np.zeros((2, len(picture), 3), np.float32)
    for row, (pixels, valid) in enumerate(zip(picture, inside, strict=True)):
        good = pixels[valid] if valid.any() else pixels
        left[row], right[row] = np.median(good[:width], axis=0), np.median(good[-width:], axis=0)
    return left, right


def by_variation(views: Sequence[np.ndarray], threshold: float = 12.0) -> np.ndarray:
    """Pixels that change from livery to livery under one camera.

    Args:
        views: uint8 [H, W, 3] each, all of one size, of different liveries.
        threshold: least standard deviation over the views, of 255, in the channel where it is
            largest. Noise and the paint's glow on the floor stay below.

    Returns:
        bool [H, W], true where there is paint.

    Raises:
        ValueError: fewer than two views, or of several sizes.
    """
    if len(views) < 2 or len({view.shape for view in views}) > 1:
        raise ValueError("variation needs at least two views of one size")
    deviation = np.stack(views).astype(np.float32).std(axis=0).max(axis=2)
    # Two by two removes single pixels of noise and keeps what is two pixels thin, as wings are.
    rough = np.pad(deviation > threshold, 1)
    opened: np.ndarray = ndimage.binary_opening(rough, np.ones((2, 2)))
    return opened[1:-1, 1:-1]


def tidy(rough: np.ndarray) -> np.ndarray:
    """A rough mask, bool [H, W], without specks and holes.

    Opened and closed by a disc of a 64th of the picture's height, then filled.
    """
    radius = max(1, round(rough.shape[0] / 64))
    y, x = np.mgrid[-radius : radius + 1, -radius : radius + 1]
    disc = x**2 + y**2 <= radius**2
    padded = np.pad(rough, 2 * radius)  # or closing would eat at the picture's edge
    padded = ndimage.binary_opening(padded, disc)
    padded = ndimage.binary_closing(padded, disc)
    inside = padded[2 * radius : -2 * radius, 2 * radius : -2 * radius]
    filled: np.ndarray = ndimage.binary_fill_holes(inside)
    return filled


def iou(a: np.ndarray, b: np.ndarray) -> float:
    """Intersection over union of two bool masks of one shape; 1 for two empty ones."""
    union = int((a | b).sum())
    return int((a & b).sum()) / union if union else 1.0


def overlay(rgb: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The picture, uint8 [H, W, 3], dimmed where ``mask``, bool [H, W], is false, its rim drawn."""
    out = np.where(mask[..., None], rgb, rgb // 4 + 24)
    rim = mask & ~ndimage.binary_erosion(mask, border_value=1)
    out[rim] = (255, 0, 160)
    return out.astype(np.uint8)
