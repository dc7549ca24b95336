"""Smooth displacements: how a photo is bent beside its camera's picture.

A camera that is turned a little shows the same picture in perspective: a displacement of second
degree, to first order. A lens bends lines by terms of third degree (Brown 1971). So a bend is a
series of Hermite polynomials of third degree at most, for each direction.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.polynomial import hermite_e

DEGREE = 3
"""Largest degree of a term."""
PAIRS = [(i, j) for i in range(DEGREE + 1) for j in range(DEGREE + 1 - i)]
"""The degrees right and down of each term."""
BACK_STEPS = 5
"""Number of steps by which a displacement is undone. Each leaves a tenth of the error or less."""


@dataclass(frozen=True)
class Bend:
    """A displacement of points p by the terms of ``(p - middle) / spread``."""

    middle: tuple[float, float]
    spread: float
    terms: np.ndarray  # float64 [2, DEGREE + 1, DEGREE + 1], right and down, by degree

    def moved(self, at: np.ndarray) -> np.ndarray:
        """Points [..., 2], displaced."""
        x, y = np.moveaxis((at - self.middle) / self.spread, -1, 0)
        away = [hermite_e.hermeval2d(x, y, terms) for terms in self.terms]
        moved: np.ndarray = at + np.stack(away, axis=-1)
        return moved

    def back(self, at: np.ndarray) -> np.ndarray:
        """The points [..., 2] whose displaced ones are at ``at``."""
        found = at
        for _ in range(BACK_STEPS):
            found = at - (self.moved(found) - found)
        return found


def bend_of(values: np.ndarray, middle: Sequence[float], spread: float) -> Bend:
    """The bend with the values [2, terms] of the terms of :data:`PAIRS`."""
    terms = np.zeros((2, DEGREE + 1, DEGREE + 1))
    for (i, j), pair in zip(PAIRS, values.T, strict=True):
        terms[:, i, j] = pair
    right, down = middle
    return Bend((right, down), spread, terms)
