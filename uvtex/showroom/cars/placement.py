"""Places a car on the showroom's floor: finds its axes, its scale and its centre."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from uvtex.showroom.cars.mesh import Floats, Mesh
from uvtex.showroom.cars.mesh_files.gltf import SUFFIXES

LENGTHS = (2.0, 8.0)
"""Range of plausible car lengths, in metres."""
UNITS = (("centimetres", 0.01), ("millimetres", 0.001), ("inches", 0.0254))
LENGTH = 4.5
"""Length in metres of a car whose length is plausible in no unit."""
SHORTEST = 1e-9
"""Length in the file's units below which rounding decides the shape."""
BINS = 40


@dataclass(frozen=True)
class Placement:
    """The map from the file's axes to the showroom's: ``p`` -> ``scale * rotation @ p + shift``."""

    rotation: Floats  # [3, 3], rows are forward, left and up in the file's axes
    scale: float
    shift: Floats  # [3] metres
    up: str
    nose: str
    size: tuple[float, float, float]
    """Length, width and height in metres."""
    scaled: str | None
    """How the scale was changed, as text. None: it was not changed."""

    def applied(self, mesh: Mesh) -> Mesh:
        """``mesh`` in the showroom's axes."""
        position = self.scale * mesh.position @ self.rotation.T + self.shift
        return Mesh(position, mesh.normal @ self.rotation.T, mesh.uv, mesh.faces)


def normalise_pose(points: Floats, up: str, nose: str, suffix: str) -> Placement:
    """The placement of a car with the vertices ``points`` [n, 3].

    Args:
        up: ``y``, ``z`` or ``auto``. ``auto`` takes y for glTF, as its standard says, and otherwise
            the axis along which the car is shorter.
        nose: an axis such as ``-z``, or ``auto``. ``auto`` takes the longer of the other two axes,
            towards the lower end, because a bonnet is lower than a tail.
        suffix: of the mesh file, such as ``.glb``.

    Raises:
        ValueError: the nose points up or down, or the car has no length.
    """
    extent = np.ptp(points, axis=0)
    if up == "auto":
        up = "y" if suffix in SUFFIXES or extent[1] <= extent[2] else "z"
    if nose == "auto":
        nose = _nose(points, up)
    upward, forward = _axis(up), _axis(nose)
    if upward @ forward:
        raise ValueError(f"the nose cannot point along {nose} when {up} is up")
    rotation = np.stack([forward, np.cross(upward, forward), upward])
    turned = points @ rotation.T
    low, high = turned.min(0), turned.max(0)
    if not high[0] - low[0] > SHORTEST:
        raise ValueError("all vertices lie in one plane across the car")
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
        raise ValueError("all vertices lie on one line")
    place = (along - along.min()) / np.ptp(along)
    bins = np.minimum((place * BINS).astype(int), BINS - 1)
    top = np.full(BINS, -np.inf)
    np.maximum.at(top, bins, height)
    # Bins without a vertex are skipped.
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
