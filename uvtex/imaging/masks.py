"""Masks of the car for pictures without masks.

There are three methods:

- :func:`by_colour` is the reference. It selects saturated or dark pixels. It needs only the
  picture. It misses white and grey paint.
- :func:`by_backdrop` selects pixels that differ from the backdrop. The left and right edge of each
  row show the backdrop's colour. The method suits showrooms, walls and floors. It includes hard
  shadows in the mask.
- :func:`by_variation` needs pictures of several liveries from one camera. It selects pixels that
  change between the liveries. Paint changes. Windows, tyres and shadows do not change. The result
  is close to an exact mask of the paint.

``python -m benchmarks.masks DATA`` compares the methods with exact masks. The figures are in
docs/log.md.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image
from scipy import ndimage

ENOUGH_LIVERIES = 3
"""Least number of liveries per camera for which :func:`by_variation` is the preferred method."""


def by_colour(rgb: np.ndarray, saturation: float = 0.25, value: float = 0.3) -> np.ndarray:
    """Select pixels more saturated than ``saturation`` or darker than ``value``, and tidy them.

    Args:
        rgb: uint8 [H, W, 3].
        saturation: limit of the HSV saturation, in [0, 1].
        value: limit of the HSV value, in [0, 1].

    Returns:
        bool [H, W], true for pixels of the car.
    """
    hsv = np.asarray(Image.fromarray(rgb).convert("HSV"), np.float32) / 255
    return tidy((hsv[..., 1] > saturation) | (hsv[..., 2] < value))


def by_backdrop(rgb: np.ndarray, threshold: float = 13.0) -> np.ndarray:
    """Select pixels that differ from the backdrop of their row, and tidy them.

    A pixel belongs to the backdrop if its colour is near a mixture of the colours at the left and
    right edge of its row. The backdrop may therefore have a gradient of light on the floor or a
    tilted horizon. A rotated picture has black corners. These corners count neither as edge nor as
    car.

    Args:
        rgb: uint8 [H, W, 3].
        threshold: least difference from the backdrop, on a scale of 255. One level of chroma
            counts as three levels, and one level of luma counts as a quarter. The reason is that
            light varies across a backdrop and colour does not.

    Returns:
        bool [H, W], true for pixels of the car.
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
    """Black areas at the picture's edge with their blurred rim: bool [H, W].

    The result is empty if these areas cover more than 35 % of the picture. Such a picture shows a
    black studio.
    """
    black = np.pad(rgb.max(axis=2) < 24, 1, constant_values=True)
    parts, _ = ndimage.label(black)
    outer: np.ndarray = (parts == parts[0, 0])[1:-1, 1:-1]
    if not outer.any() or outer.mean() > 0.35:
        return np.zeros_like(outer)
    grown: np.ndarray = ndimage.binary_dilation(outer, iterations=max(1, round(len(rgb) / 64)))
    return grown


def _edges(picture: np.ndarray, inside: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Median colours at the left and right edge of each row: [H, 3] each.

    Each median covers a twentieth of the row's width. Only pixels in ``inside`` count. If a row
    has no such pixel, all of its pixels count.
    """
    width = max(2, picture.shape[1] // 20)
    left, right = np.zeros((2, len(picture), 3), np.float32)
    for row, (pixels, valid) in enumerate(zip(picture, inside, strict=True)):
        good = pixels[valid] if valid.any() else pixels
        left[row], right[row] = np.median(good[:width], axis=0), np.median(good[-width:], axis=0)
    return left, right


def by_variation(views: Sequence[np.ndarray], threshold: float = 12.0) -> np.ndarray:
    """Select pixels that change between liveries in the views of one camera.

    Args:
        views: uint8 [H, W, 3] each, of one size and of different liveries.
        threshold: least standard deviation over the views, on a scale of 255, in the channel
            with the largest deviation. Noise and the paint's glow on the floor stay below it.

    Returns:
        bool [H, W], true for pixels of paint.

    Raises:
        ValueError: there are fewer than two views, or the views differ in size.
    """
    if len(views) < 2 or len({view.shape for view in views}) > 1:
        raise ValueError("variation needs at least two views of one size")
    deviation = np.stack(views).astype(np.float32).std(axis=0).max(axis=2)
    # A 2 x 2 opening removes single pixels of noise. It keeps parts that are two pixels thin, such
    # as wings.
    rough = np.pad(deviation > threshold, 1)
    opened: np.ndarray = ndimage.binary_opening(rough, np.ones((2, 2)))
    return opened[1:-1, 1:-1]


def tidy(rough: np.ndarray) -> np.ndarray:
    """Remove specks and holes from a rough mask, bool [H, W].

    The function opens and closes the mask with a disc and then fills its holes. The disc's radius
    is a 64th of the picture's height.
    """
    radius = max(1, round(rough.shape[0] / 64))
    y, x = np.mgrid[-radius : radius + 1, -radius : radius + 1]
    disc = x**2 + y**2 <= radius**2
    padded = np.pad(rough, 2 * radius)  # else closing erodes at the edge
    padded = ndimage.binary_opening(padded, disc)
    padded = ndimage.binary_closing(padded, disc)
    inside = padded[2 * radius : -2 * radius, 2 * radius : -2 * radius]
    filled: np.ndarray = ndimage.binary_fill_holes(inside)
    return filled


def iou(a: np.ndarray, b: np.ndarray) -> float:
    """Intersection over union of two bool masks of one shape. It is 1 for two empty masks."""
    union = int((a | b).sum())
    return int((a & b).sum()) / union if union else 1.0


def overlay(rgb: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Draw ``mask``, bool [H, W], over a picture, uint8 [H, W, 3].

    The picture is dimmed outside the mask, and the mask's rim is drawn in colour.
    """
    out = np.where(mask[..., None], rgb, rgb // 4 + 24)
    rim = mask & ~ndimage.binary_erosion(mask, border_value=1)
    out[rim] = (255, 0, 160)
    return out.astype(np.uint8)
