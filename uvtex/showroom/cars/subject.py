"""The subject of the cameras: a car as one mesh for each material."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache

from uvtex.showroom.cars.built_in import car
from uvtex.showroom.cars.mesh import Mesh

PAINT = "paint"
Colour = tuple[float, float, float]


@dataclass(frozen=True)
class Subject:
    """A car in metres: x forward, y to the car's left, z up, the floor at z = 0."""

    meshes: dict[str, Mesh]
    """Material -> mesh. The first is ``paint``, which carries the livery."""
    colours: dict[str, Colour] = field(default_factory=dict)
    """Linear albedo of each material that is not one of the showroom's own."""
    repeats: bool = False
    """Whether the paint's UVs leave the unit square; the texture repeats there."""


@lru_cache(maxsize=1)
def built_in() -> Subject:
    """The built-in car."""
    return Subject(car().meshes())
