"""Forecasts the end of a learning curve by a saturating fit, with a standard deviation."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

TIME_CONSTANTS = (0.125, 0.25, 0.5, 1.0, 2.0)
"""Candidates for tau, as fractions of the run's epochs. The longest is nearly a straight line."""

FLOOR = 0.02
"""Lower bound of the residual scatter, as a fraction of the curve's range: few points can fit
by chance."""

LEAST = 3
"""Epochs that a fit needs: one more than its two coefficients, to estimate the scatter."""

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Forecast:
    """A metric at the run's last epoch, in the metric's own units."""

    mean: float
    std: float

    def optimistic(self, allowance: float, rising: bool) -> float:
        """``allowance`` standard deviations to the good side; ``rising``: more is better."""
        return self.mean + (allowance if rising else -allowance) * self.std


def forecast(values: Sequence[float], epochs: int) -> Forecast:
    """Extrapolates ``values`` (one an epoch, from epoch 1) to epoch ``epochs``.

    For each time constant tau, least squares fits ``y(e) = a + b exp(-(e - 1) / tau)``; the tau
    with the least squared residual is taken. With n points, design matrix X (rows ``1, exp(..)``)
    and x the row of the last epoch, the standard deviation is that of a new observation there:
    ``s * sqrt(1 + x' (X'X)^-1 x)``, ``s^2 = RSS / (n - 2)``, ``s`` at least :data:`FLOOR` of the
    range of ``values``. The fit knows no learning rate: it does not foresee the gain
    when the rate falls later.

    Raises:
        ValueError: fewer than :data:`LEAST` values, more than ``epochs``, or one not finite.
    """
    n = len(values)
    if not LEAST <= n <= epochs:
        raise ValueError(f"forecast needs {LEAST} to {epochs} values, got {n}")
    if not all(math.isfinite(value) for value in values):
        raise ValueError(f"forecast needs finite values, got {list(values)}")
    y = np.asarray(values, dtype=np.float64)
    if n == epochs:
        return Forecast(float(y[-1]), 0.0)
    fits = [_fit(y, epochs, tau * epochs) for tau in TIME_CONSTANTS]
    rss, mean, leverage = min(fits, key=lambda fit: fit[0])
    floor = FLOOR * float(np.ptp(y))
    s = max(math.sqrt(rss / (n - 2)), floor)
    return Forecast(mean, s * math.sqrt(1 + leverage))


def _fit(y: Array, epochs: int, tau: float) -> tuple[float, float, float]:
    """Residual sum of squares, value at the last epoch, and that point's leverage."""
    X = _design(np.arange(len(y), dtype=np.float64), tau)
    x = _design(np.array([epochs - 1.0]), tau)[0]
    inverse = np.linalg.pinv(X.T @ X)
    coefficients = inverse @ X.T @ y
    residual = y - X @ coefficients
    return float(residual @ residual), float(x @ coefficients), float(x @ inverse @ x)


def _design(steps: Array, tau: float) -> Array:
    return np.stack([np.ones_like(steps), np.exp(-steps / tau)], axis=1)
