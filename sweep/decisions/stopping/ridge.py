"""Weighted ridge regression with a Student t predictive, scaled by runs left out of the fit."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

PENALTIES = np.array([1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0])
"""Candidates. At least 1: fewer runs than features must not fit exactly."""

LEAST_SCALE = 1e-3


@dataclass(frozen=True)
class Ridge:
    """A fitted regression. Features are standardised; one that is unknown counts as its mean."""

    centre: Array  # [F]
    width: Array  # [F] standard deviation, inf where a feature is constant
    coefficients: Array  # [F]
    intercept: float
    covariance: Array  # [F, F] (X'WX + penalty)^-1
    weight: float
    """Sum of the weights, scaled to the effective number of runs."""
    scale: float
    """Leave-one-out residuals' root mean square, over sqrt(1 + their mean leverage)."""
    freedom: float
    left_out: Array  # [n] P(y >= 0) of each run by the fit without it

    def chance(self, x: Array) -> Array:
        """P(y >= 0) for features ``x`` [n, F]."""
        mean, scale = self.predict(x)
        return tail(mean / scale, self.freedom)

    def predict(self, x: Array) -> tuple[Array, Array]:
        """Centre and scale of the Student t of each y, for features ``x`` [n, F]; [n] each."""
        z = _standard(x, self.centre, self.width)
        mean = self.intercept + z @ self.coefficients
        leverage = 1 / self.weight + ((z @ self.covariance) * z).sum(axis=1)
        return mean, self.scale * np.sqrt(1 + leverage)


def tail(t: Array, freedom: float) -> Array:
    """P(T <= t) of Student's t."""
    from scipy import special  # those who only read a study do without

    out: Array = special.stdtr(freedom, t)
    return out


def fit(x: Array, y: Array, weights: Array) -> Ridge:
    """Fits ``y`` [n] on ``x`` [n, F] (NaN: unknown), each run with its weight [n].

    The penalty has the least squared leave-one-out residual, in closed form
    ``e_i / (1 - h_i)``; the predictive's scale is theirs, never the in-sample one. Degrees of
    freedom are the effective number of runs ``(sum w)^2 / sum w^2`` less the trace of the hat
    matrix, at least 3.

    Raises:
        ValueError: fewer than three runs.
    """
    if len(y) < 3:
        raise ValueError(f"a regression needs three runs, got {len(y)}")
    effective = float(weights.sum() ** 2 / (weights**2).sum())
    w = weights * (effective / weights.sum())
    centre, width = _moments(x, w)
    z = _standard(x, centre, width)
    mean = float(w @ y) / effective
    root = np.sqrt(w)[:, None]
    values, vectors = np.linalg.eigh((root * z).T @ (root * z))
    values = np.maximum(values, 0.0)
    turned = z @ vectors  # [n, F]
    slopes = (turned.T @ (w * (y - mean)))[:, None] / (values[:, None] + PENALTIES)  # [F, L]
    residual = (y - mean)[:, None] - turned @ slopes  # [n, L]
    own = w[:, None] * (1 / effective + (turned**2) @ (1 / (values[:, None] + PENALTIES)))
    own = np.minimum(own, 0.99)
    left_out = residual / (1 - own)
    best = int(np.argmin(w @ left_out**2))
    penalty, hat, errors = PENALTIES[best], own[:, best], left_out[:, best]
    spread = own[:, best] / w  # leverage of a new run at the same place
    freedom = max(3.0, effective - 1 - float((values / (values + penalty)).sum()))
    grown = 1 + spread / np.maximum(1 - hat, 1e-2)
    scale = max(float(np.sqrt((w @ (errors**2 / grown)) / effective)), LEAST_SCALE)
    expected = y - errors
    return Ridge(
        centre=centre,
        width=width,
        coefficients=vectors @ slopes[:, best],
        intercept=mean,
        covariance=(vectors / (values + penalty)) @ vectors.T,
        weight=effective,
        scale=scale,
        freedom=freedom,
        left_out=tail(expected / (scale * np.sqrt(grown)), freedom),
    )


def _moments(x: Array, w: Array) -> tuple[Array, Array]:
    known = np.isfinite(x)
    filled = np.where(known, x, 0.0)
    total = np.maximum(w @ known, 1e-12)
    centre = (w @ filled) / total
    variance = (w @ (np.where(known, x - centre, 0.0) ** 2)) / total
    return centre, np.where(variance > 1e-12, np.sqrt(np.maximum(variance, 1e-12)), np.inf)


def _standard(x: Array, centre: Array, width: Array) -> Array:
    out = np.where(np.isfinite(x), (x - centre) / width, 0.0)
    return np.minimum(np.maximum(out, -5.0), 5.0)
