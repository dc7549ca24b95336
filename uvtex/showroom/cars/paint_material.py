"""Chooses the material of a car that carries the livery."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from uvtex.errors import DataError
from uvtex.showroom.cars.mesh_files.mesh_file import Part
from uvtex.showroom.cars.uv_audit import audit

NAMES = ("livery", "paint", "skin", "body|bodywork|carrosserie|karosserie", "exterior|ext")
"""Usual names of the paint's material, the most certain first. Whole words match, also after
``car``."""
COARSE = 256
"""Side of the grid on which materials are compared."""


def choose_paint(parts: Sequence[Part], wanted: str | None, where: str) -> tuple[Part, str]:
    """The part that carries the paint, and the reason for the choice as text.

    Args:
        parts: after placement, so their lengths are metres.

    Raises:
        DataError: no material is called ``wanted``. The message lists the materials.
    """
    if wanted is not None:
        return _named(parts, wanted, where), "as given"
    if len(parts) == 1:
        return parts[0], "the only one"
    for pattern in NAMES:
        word = re.compile(rf"(?<![a-z])(car)?({pattern})(?![a-z])", re.IGNORECASE)
        matching = [part for part in parts if word.search(part.material)]
        if matching:
            return max(matching, key=own_share), "by its name"
    largest = max(parts, key=own_share)
    others = ", ".join(part.material for part in parts if part is not largest)
    why = f"it fills most of an atlas; --paint-material says otherwise (there are also {others})"
    return largest, why


def own_share(part: Part) -> float:
    """Share of the atlas that shows one place of ``part`` alone; tiled trim has hardly any."""
    if not part.has_uv or not np.isfinite(part.mesh.uv).all():
        return 0.0
    uvs = audit(part.mesh, COARSE)
    return float((uvs.covered & ~uvs.shared).mean())


def _named(parts: Sequence[Part], wanted: str, where: str) -> Part:
    exact = [part for part in parts if part.material == wanted]
    alike = [part for part in parts if part.material.lower() == wanted.lower()]
    found = exact or alike
    if len(found) != 1:
        names = ", ".join(part.material for part in parts)
        raise DataError(f"{where}: no material is called {wanted!r}; there are: {names}")
    return found[0]
