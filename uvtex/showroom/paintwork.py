"""Which of a car's materials carries the livery."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from uvtex.errors import DataError
from uvtex.showroom.mesh import Mesh
from uvtex.showroom.meshfile import Part

NAMES = ("livery", "paint", "skin", "body|bodywork|carrosserie|karosserie", "exterior|ext")
"""What people call it, the surest first; whole words, with or without ``car`` before."""


def choose(parts: Sequence[Part], wanted: str | None, where: str) -> tuple[Part, str]:
    """The part that carries the paint, and in words why it is that one.

    Raises:
        DataError: no material is called ``wanted``; names those there are.
    """
    if wanted is not None:
        return _named(parts, wanted, where), "as given"
    if len(parts) == 1:
        return parts[0], "the only one"
    for pattern in NAMES:
        word = re.compile(rf"(?<![a-z])(car)?({pattern})(?![a-z])", re.IGNORECASE)
        matching = [part for part in parts if word.search(part.material)]
        if matching:
            return max(matching, key=lambda part: atlas_share(part.mesh)), "by its name"
    largest = max(parts, key=lambda part: atlas_share(part.mesh))
    others = ", ".join(part.material for part in parts if part is not largest)
    why = f"it fills most of the atlas; --paint-material says otherwise (there are also {others})"
    return largest, why


def atlas_share(mesh: Mesh) -> float:
    """Area of the triangles that lie in the unit square of UVs, overlaps counted twice."""
    corners = mesh.uv[mesh.faces]
    inside = ((corners >= -1e-4) & (corners <= 1 + 1e-4)).all((1, 2))
    a, b = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    area = np.abs(a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]) / 2
    return float(area[inside].sum())


def _named(parts: Sequence[Part], wanted: str, where: str) -> Part:
    exact = [part for part in parts if part.material == wanted]
    alike = [part for part in parts if part.material.lower() == wanted.lower()]
    found = exact or alike
    if len(found) != 1:
        names = ", ".join(part.material for part in parts)
        raise DataError(f"{where}: no material is called {wanted!r}; there are: {names}")
    return found[0]
