"""Chances corrected by what became of finished runs whose chance was forecast without them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

ASSURED = 1e-6
"""No chance is nearer than this to 0 or 1."""


def _nodes(count: int) -> tuple[Array, Array]:
    """Points [2, count^2] and weights of Gauss-Hermite quadrature under two normal variables."""
    points, weights = np.polynomial.hermite_e.hermegauss(count)
    first, second = np.meshgrid(points, points)
    both = np.outer(weights, weights)
    return np.stack([first.ravel(), second.ravel()]), (both / both.sum()).ravel()


NODES, NODE_WEIGHTS = _nodes(7)


@dataclass(frozen=True)
class Correction:
    """``p' = least + (1 - least) q``, q the weighted mean of ``sigmoid(shift + slope logit p)``."""

    shift: Array  # [k]
    slope: Array  # [k]
    weights: Array  # [k], of sum 1
    least: tuple[float, float] = (0.0, 0.0)
    """The least chance of a settled and of a rising run, whatever the forecast says: see
    :mod:`sweep.decisions.stopping.least_chance`."""

    def chance(self, p: Array, rising: Bools) -> Array:
        """p' of each p [n]; ``rising`` [n]: which of the runs still rise."""
        bent = sigmoid(self.shift + np.multiply.outer(logit(p), self.slope)) @ self.weights
        least = self.least_of(rising)
        out: Array = least + (1 - least) * bent
        return out

    def least_of(self, rising: Bools) -> Array:
        """The least chance of each run, [n]."""
        return np.where(rising, self.least[1], self.least[0])


IDENTITY = Correction(np.zeros(1), np.ones(1), np.ones(1))


def recalibration(chances: Array, passed: Bools, averaged: bool = True) -> Correction:
    """What makes the left-out ``chances`` [n] of one look fit what ``passed`` [n].

    ``logit p' = a + b logit p`` with a ~ N(0, 1), log b ~ N(0, 0.5): with no evidence the most
    probable p' is p (Platt 1999, with a prior). p' is averaged over the posterior of (a, log b) in
    Laplace's approximation: from thirty runs of which one passed, no chance of 1e-4 can be had.

    Each run counts once, an audited one too: which runs ended depends on their chance and on a
    coin, and given the chance that says nothing of what passes. Weights of 1/q would make ten
    runs' evidence out of one.
    """
    x, y = logit(chances), passed.astype(np.float64)
    a, c = 0.0, 0.0
    for _ in range(25):
        b = np.exp(c)
        p = sigmoid(a + b * x)
        error, curvature = p - y, p * (1 - p)
        gradient = np.array([error.sum() + a, (error * b * x).sum() + c / 0.25])
        cross = float((curvature * b * x).sum())
        hessian = np.array(
            [[curvature.sum() + 1.0, cross], [cross, (curvature * (b * x) ** 2).sum() + 4.0]]
        )
        step = np.clip(np.linalg.solve(hessian, gradient), -1.0, 1.0)
        a, c = a - float(step[0]), c - float(step[1])
        if np.abs(step).max() < 1e-6:
            break
    if not averaged:
        return Correction(np.array([a]), np.array([np.exp(c)]), np.ones(1))
    root = np.linalg.cholesky(np.linalg.inv(hessian))
    shift, slope = np.array([a, c])[:, None] + root @ NODES
    return Correction(shift, np.exp(slope), NODE_WEIGHTS)


def logit(p: Array) -> Array:
    """Log odds of p, kept from 0 and 1."""
    q = np.clip(p, ASSURED, 1 - ASSURED)
    out: Array = np.log(q) - np.log1p(-q)
    return out


def sigmoid(x: Array) -> Array:
    """The inverse of :func:`logit`."""
    out: Array = 1 / (1 + np.exp(-np.clip(x, -30, 30)))
    return out
