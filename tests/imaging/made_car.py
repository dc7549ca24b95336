"""A made car that a camera sees, and photos of it that do not lie as the camera stood."""

from __future__ import annotations

import numpy as np
import torch

from uvtex.imaging.compose import srgb_from_linear
from uvtex.imaging.full_size import ViewGeometry
from uvtex.imaging.placing import MARGIN

SIDE = 96
FINE = 4
"""Points across a pixel that are averaged."""
STILL_POSE = np.array([[1.0, 0, 0], [0, 1.0, 0]])


def _car(
    x: np.ndarray, y: np.ndarray, elsewhere: bool = False, another: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Linear grey of a car on a floor at points of [-1, 1], and where it is painted."""
    half, back, wheels = (0.6, -0.2, (-0.35, 0.3)) if another else (0.7, 0.1, (-0.45, 0.4))
    grey = np.where(y < -0.35, 0.5, 0.2 + 0.1 * y)  # wall and floor
    if elsewhere:
        tiles = (np.floor(7 * x + 2 * y) + np.floor(9 * y)) % 2
        grey = np.where(y < -0.6, 0.05, 0.25 + 0.4 * tiles)
    paint = (abs(x) < half) & (abs(y) < 0.3)
    paint |= (abs(x + back) < 0.4) & (abs(y + 0.4) < 0.15)
    for middle in wheels:  # tyre and rim
        from_axle = np.hypot(x - middle, y - 0.28)
        paint &= from_axle > 0.17
        grey = np.where(from_axle < 0.17, 0.02, grey)
        spokes = np.cos(5 * np.arctan2(y - 0.28, x - middle)) > 0
        grey = np.where((from_axle < 0.11) & spokes, 0.45, grey)
    for left in (-0.32 - back, 0.03 - back):
        glass = (abs(x - left - 0.13) < 0.12) & (abs(y + 0.38) < 0.09)
        paint &= ~glass
        grey = np.where(glass, 0.06 + 0.05 * x, grey)
    return grey, paint


def _points(side: int, half: float) -> tuple[np.ndarray, np.ndarray]:
    at = ((np.arange(side * FINE) + 0.5) / (side * FINE) * 2 - 1) * half
    x, y = np.meshgrid(at, at)
    return x, y


def _mean(picture: np.ndarray) -> np.ndarray:
    side = len(picture) // FINE
    return picture.reshape(side, FINE, side, FINE).mean(axis=(1, 3))


def camera(side: int = SIDE) -> ViewGeometry:
    """What is known of the camera, with light of ``side`` pixels."""
    x, y = _points(side, 1.0)
    grey, paint = _car(x, y)
    light = 0.5 + 0.2 * x
    falling, reflected, share = (_mean(v) for v in (light * paint, grey * ~paint, paint * 1.0))
    px = (np.arange(side) + 0.5) / side
    uv = np.stack(np.meshgrid(px, 1 - px), axis=2).astype(np.float32)
    uv[share == 0] = np.nan
    three = (np.repeat(v[..., None], 3, axis=2).astype(np.float32) for v in (falling, reflected))
    return ViewGeometry(uv, *three, share.astype(np.float32), STILL_POSE)


def photo(
    rng: np.random.Generator,
    right: float = 0,
    down: float = 0,
    scale: float = 1,
    degrees: float = 0,
    half: float = MARGIN,
    side: int = SIDE,
    elsewhere: bool = False,
    another: bool = False,
    keystone: tuple[float, float] = (0.0, 0.0),
) -> np.ndarray:
    """A photo of the car with stripes, moved by pixels of the light: the picture that is placed.

    It is turned clockwise about the middle before that. It shows points from -half to half. Light
    has ``side`` pixels. ``elsewhere`` there is another wall, and a floor with tiles.
    ``another`` car is shorter, with its wheels nearer and its cabin further back. With ``keystone``
    k the photo shows at ``p / (1 + k p)`` what its camera shows at p, before it is moved.
    """
    x, y = _points(round(side * half), half)
    x, y = ((a - 2 * move / side) / scale for a, move in ((x, right), (y, down)))
    cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    x, y = cos * x + sin * y, cos * y - sin * x
    away = 1 - keystone[0] * x - keystone[1] * y
    x, y = x / away, y / away
    grey, paint = _car(x, y, elsewhere, another)
    colours = rng.uniform(0, 1, (5, 3))
    stripe = colours[(np.floor(3 * x + 2 * y + rng.uniform(0, 5)) % 5).astype(int)]
    linear = np.where(paint[..., None], stripe * (0.5 + 0.2 * x[..., None]), grey[..., None])
    seen = np.stack([_mean(linear[..., c]) for c in range(3)], axis=2)
    seen = srgb_from_linear(torch.from_numpy(seen)).numpy()
    noisy = 230 * seen + 8 + rng.normal(0, 2, seen.shape)  # less contrast, brighter
    clipped: np.ndarray = noisy.clip(0, 255).round().astype(np.uint8)
    return clipped
