"""What is photographed: meshes by material, the paint among them."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache

from uvtex.showroom.cars.built_in import car
from uvtex.showroom.cars.mesh import Mesh

PAINT = "paint"
Colour = tuple[float, float, float]


@dataclass(frozen=True)
class Subject:
    """A car in the showroom's axes: x forward, y to its left, z up, the floor at z = 0."""

    meshes: dict[str, Mesh]
    """Material -> mesh; the one called ``paint`` carries the livery and comes first."""
    colours: dict[str, Colour] = field(default_factory=dict)
    """Linear albedo of the materials that the showroom has no finish of its own for."""
    repeats: bool = False
    """The paint's UVs leave the unit square, where the texture repeats."""


@lru_cache(maxsize=1)
def built_in() -> Subject:
    """The showroom's own car."""
    return Subject(car().meshes())
