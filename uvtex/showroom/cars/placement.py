"""Putting a car on the showroom's floor: up, nose, scale and middle."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from uvtex.showroom.cars.mesh import Floats, Mesh

LENGTHS = (2.0, 8.0)
"""Metres between which a car's length is believed."""
UNITS = (("centimetres", 0.01), ("millimetres", 0.001), ("inches", 0.0254))
LENGTH = 4.5
"""Metres that a car gets whose length makes sense in no unit."""
BINS = 40


@dataclass(frozen=True)
class Placement:
    """``p`` in the file is ``scale * rotation @ p + shift`` in the showroom."""

    rotation: Floats  # [3, 3], rows are forward, left and up in the file's axes
    scale: float
    shift: Floats  # [3] metres
    up: str
    nose: str
    size: tuple[float, float, float]
    """Length, width and height on the floor, metres."""
    scaled: str | None
    """In words, how the scale was changed; None: it was not."""

    def applied(self, mesh: Mesh) -> Mesh:
        """``mesh`` where it stands in the showroom."""
        position = self.scale * mesh.position @ self.rotation.T + self.shift
        return Mesh(position, mesh.normal @ self.rotation.T, mesh.uv, mesh.faces)


def normalise_pose(points: Floats, up: str, nose: str, suffix: str) -> Placement:
    """Where a car of vertices ``points`` [n, 3] goes.

    Args:
        up: ``y``, ``z``, or ``auto``: y in GLB, as its standard says; else the shorter of both.
        nose: an axis such as ``-z``, or ``auto``: the longer of the other axes, to the end whose
            upper side lies lower, as bonnets do.

    Raises:
        ValueError: the nose points up or down, or the car has no length.
    """
    extent = np.ptp(points, axis=0)
    if up == "auto":
        up = "y" if suffix == ".glb" or extent[1] <= extent[2] else "z"
    if nose == "auto":
        nose = _nose(points, up)
    upward, forward = _axis(up), _axis(nose)
    if upward @ forward:
        raise ValueError(f"the nose cannot point along {nose} when {up} is up")
    rotation = np.stack([forward, np.cross(upward, forward), upward])
    turned = points @ rotation.T
    low, high = turned.min(0), turned.max(0)
    if not high[0] > low[0]:
        raise ValueError("all of its vertices lie in one plane across the car")
    scale, scaled = _scale(float(high[0] - low[0]))
    middle = (low + high) / 2
    shift = -scale * np.array([middle[0], middle[1], low[2]])
    length, width, height = (float(v) for v in scale * (high - low))
    return Placement(rotation, scale, shift, up, nose, (length, width, height), scaled)


def _axis(name: str) -> Floats:
    axis = np.zeros(3)
    axis["xyz".index(name[-1])] = -1.0 if name[0] == "-" else 1.0
    return axis


def _nose(points: Floats, up: str) -> str:
    height = points[:, "xyz".index(up)]
    across = [name for name in "xyz" if name != up]
    long = max(across, key=lambda name: float(np.ptp(points[:, "xyz".index(name)])))
    along = points[:, "xyz".index(long)]
    if not np.ptp(along) > 0:
        raise ValueError("all of its vertices lie on one line")
    place = (along - along.min()) / np.ptp(along)
    bins = np.minimum((place * BINS).astype(int), BINS - 1)
    top = np.full(BINS, -np.inf)
    np.maximum.at(top, bins, height)
    # Bins without a vertex say nothing.
    quarter = BINS // 4
    back, front = (t[np.isfinite(t)].mean() for t in (top[:quarter], top[-quarter:]))
    return long if front <= back else f"-{long}"


def _scale(length: float) -> tuple[float, str | None]:
    low, high = LENGTHS
    if low <= length <= high:
        return 1.0, None
    for unit, factor in UNITS:
        if low <= length * factor <= high:
            return factor, f"its length of {length:.4g} was taken for {unit}"
    factor = LENGTH / length
    return factor, f"its length of {length:.4g} fits no unit, so it was scaled to {LENGTH} m"
