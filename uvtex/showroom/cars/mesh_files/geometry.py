"""What the readers of mesh files return: triangles and materials, in the file's axes and units."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import numpy as np

from uvtex.showroom.cars.mesh import Floats, Ints

DEFAULT = (0.4, 0.4, 0.4, 1.0)


@dataclass(frozen=True)
class Material:
    """The appearance of a material as its file gives it."""

    name: str
    factor: tuple[float, ...] = DEFAULT
    """Red, green, blue and opacity, from 0 to 1. The picture is multiplied by them."""
    blended: bool = False
    picture: Callable[[], bytes] | None = None
    """Reads the content of the material's picture file."""


@dataclass(frozen=True)
class Geometry:
    """Triangles of one material."""

    material: Material
    position: Floats  # [n, 3]
    normal: Floats | None  # [n, 3]; NaN where the file gives none
    uv: Floats | None  # [n, 2], v upwards; None if a corner has no UV
    faces: Ints  # [m, 3]
    notes: tuple[str, ...] = ()
    """Lines of text for people: what of the file was left out or chosen."""
    lines: Ints | None = field(default=None, compare=False)
    """[n, 2]: the lines of a text file that hold each vertex's position and UV."""


def complete_normals(position: Floats, faces: Ints, normal: Floats | None) -> Floats:
    """Unit normals [n, 3]; one that is missing or broken becomes the mean of its faces' normals.

    The mean is weighted by the angle of each face's corner. A vertex without faces gets z.
    """
    with np.errstate(all="ignore"):
        given = np.full_like(position, np.nan) if normal is None else np.array(normal)
        given /= np.linalg.norm(given, axis=1, keepdims=True)
        broken = np.asarray(~np.isfinite(given).all(1))
        if broken.any():
            touched = np.asarray(broken[faces]).any(1)
            mean = _mean_normals(position, faces[touched])
            given[broken] = mean[broken]
    given[~np.isfinite(given).all(1)] = (0.0, 0.0, 1.0)
    return given


def _mean_normals(position: Floats, faces: Ints) -> Floats:
    corner = position[faces]  # [m, 3, 3]
    forth = np.roll(corner, -1, axis=1) - corner
    forth /= np.linalg.norm(forth, axis=2, keepdims=True)
    angle = np.arccos(-(forth * np.roll(forth, 1, axis=1)).sum(2).clip(-1, 1))
    flat = np.cross(forth[:, 0], -forth[:, 2])
    flat /= np.linalg.norm(flat, axis=1, keepdims=True)
    weighted = (flat[:, None] * angle[..., None]).reshape(-1, 3)
    weighted[~np.isfinite(weighted).all(1)] = 0
    sums = [np.bincount(faces.ravel(), weighted[:, k], len(position)) for k in range(3)]
    total = np.stack(sums, 1)
    return np.asarray(total / np.linalg.norm(total, axis=1, keepdims=True))


def referenced(path: Path, name: str) -> Path | None:
    """The file ``name`` that the mesh file ``path`` refers to; None if it is missing.

    It is searched where it is said to be, then beside ``path``: people move files, and write paths
    of other machines. Upper and lower case may differ.
    """
    relative = name.strip("\"' \t").replace("\\", "/")
    beside = PurePosixPath(relative).name
    for place in (relative, beside):
        candidate = path.parent / place
        try:
            if candidate.is_file():
                return candidate
        except (OSError, ValueError):  # A name too long, or with a zero byte.
            continue
    if not beside:
        return None
    exact = re.compile(re.escape(beside), re.IGNORECASE)
    try:
        matching = sorted(entry for entry in path.parent.iterdir() if exact.fullmatch(entry.name))
    except OSError:
        return None
    return next((entry for entry in matching if entry.is_file()), None)
