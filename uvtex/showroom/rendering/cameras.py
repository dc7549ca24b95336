"""The showroom's cameras: in a circle around the car, at the heights of handheld cameras."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from uvtex.showroom.cars.subject import Subject, built_in
from uvtex.showroom.settings import Pose

TARGET = (0.0, 0.0, 0.55)
HEIGHTS = (1.1, 1.9, 2.9)
"""Heights of the cameras in metres, used in rotation."""
FILL = 0.94
"""Share of the picture that the car spans in its longer direction."""
LONGEST = 5.0
"""Length of car in metres that the distances fit. For a longer car they grow in proportion."""


@dataclass(frozen=True)
class Camera:
    """A pinhole camera that looks at ``target``."""

    name: str
    origin: tuple[float, float, float]  # metres
    target: tuple[float, float, float]
    fov: float
    """Full angle of view, degrees; pictures are square."""


def cameras(count: int, seed: int, subject: Subject | None = None) -> list[Camera]:
    """``count`` cameras around the car; the same at every call with the same arguments.

    Args:
        subject: the car; the built-in one by default.
    """
    points = np.concatenate([mesh.position for mesh in (subject or built_in()).meshes.values()])
    further = max(1.0, float(np.ptp(points[:, 0])) / LONGEST)
    rng = np.random.default_rng([seed, count, 0xCA3E7A])
    turn = 360.0 / count
    out = []
    for number in range(count):
        azimuth = np.radians(35.0 + turn * number + rng.uniform(-0.2, 0.2) * turn)
        height = HEIGHTS[number % len(HEIGHTS)] + rng.uniform(-0.1, 0.1)
        distance = rng.uniform(6.5, 8.0) * further
        origin = np.array([distance * np.cos(azimuth), distance * np.sin(azimuth), height])
        out.append(_framed(f"cam{number:02d}", origin, points))
    return out


def posed(poses: Sequence[Pose]) -> list[Camera]:
    """The cameras of ``poses``. Every pose must have a name."""
    return [Camera(str(pose.name), pose.eye, pose.target, pose.fov) for pose in poses]


def _framed(name: str, origin: np.ndarray, points: np.ndarray) -> Camera:
    """The camera at ``origin``, aimed and zoomed so that ``points`` [n, 3] fill the picture."""
    forward = np.array(TARGET) - origin
    forward /= np.linalg.norm(forward)
    right = np.cross(forward, [0.0, 0.0, 1.0])
    right /= np.linalg.norm(right)
    up = np.cross(right, forward)
    rays = points - origin
    depth = rays @ forward
    x, y = rays @ right / depth, rays @ up / depth
    # The camera aims at the centre of the car's bounding box in the picture, not at TARGET.
    aim = forward + right * (x.min() + x.max()) / 2 + up * (y.min() + y.max()) / 2
    extent = max(np.ptp(x), np.ptp(y)) / 2
    target = origin + aim * np.linalg.norm(np.array(TARGET) - origin)
    fov = float(np.degrees(2 * np.arctan(extent / FILL)))
    return Camera(name, _triple(origin), _triple(target), fov)


def _triple(point: np.ndarray) -> tuple[float, float, float]:
    x, y, z = (float(value) for value in point)
    return x, y, z
