"""Other forecasts under our ledger: a Gaussian process, and the nearest curves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from scipy import stats

from benchmarks.promotion.task import Array
from sweep.decisions.stopping.audit import Evidence
from sweep.decisions.stopping.curves import Curves, features, joint, scaled, spread
from sweep.decisions.stopping.ledger import Ledger
from sweep.decisions.stopping.outlook import Finished, Kind

LEAST = Kind().least_runs
LENGTHS, NOISES = (0.3, 1.0, 3.0), (0.05, 0.2, 0.5, 0.8)
"""Candidates: length scale in deviations of a feature, noise as a share of the variance."""


class Rival:
    """A forecast that is not corrected."""

    def least(self, curves: Curves, look: int, seen: int) -> Array:
        """No chance is too small for it."""
        return np.zeros(len(curves))

    def worth(self, ledger: Ledger, evidence: Evidence, saved: float) -> float:
        """Every flag is worth its cost."""
        return 1.0


@dataclass(frozen=True)
class GaussianProcess(Rival):
    """A process with a squared exponential kernel over the features of our forecast.

    Length scale and noise have the largest marginal likelihood; a run of weight w has noise / w.
    """

    finished: Finished

    def chance(self, curves: Curves, look: int, seen: int) -> Array:
        """P(the best joint slack >= 0); [n]."""
        spreads = spread(self.finished.curves.slacks)
        known = features(self.finished.curves, seen, spreads, squash=False, schedule=True)
        x, new = _standard(known, features(curves, seen, spreads, squash=False, schedule=True))
        y = _best(self.finished.curves, spreads)
        weights = self.finished.weights / self.finished.weights.mean()
        centred = y - y.mean()
        fits = [
            _fit(x, centred, weights, length, noise) for length, noise in product(LENGTHS, NOISES)
        ]
        _, length, noise, variance, inverse = max(fits, key=lambda one: one[0])
        cross = _kernel(new, x, length) * (1 - noise)
        mean = y.mean() + cross @ inverse @ centred
        left = np.maximum(1 - ((cross @ inverse) * cross).sum(axis=1), 1e-6)
        return stats.norm.cdf(mean / np.sqrt(variance * left))


@dataclass(frozen=True)
class NearestCurves(Rival):
    """The gain from now to the best epoch, by the runs whose curves were the nearest so far."""

    finished: Finished

    def chance(self, curves: Curves, look: int, seen: int) -> Array:
        """P(the best so far plus the gain >= 0), by a Student t of the neighbours' gains; [n]."""
        spreads = spread(self.finished.curves.slacks)
        past = scaled(self.finished.curves.slacks[:, :seen], spreads, squash=False)
        new = scaled(curves.slacks[:, :seen], spreads, squash=False)
        gains = _best(self.finished.curves, spreads) - joint(past).max(axis=1)
        near = max(5, round(np.sqrt(len(past))))
        away = _distances(new.reshape(len(new), -1), past.reshape(len(past), -1))
        found = gains[np.argsort(away, axis=1)[:, :near]]
        width = np.maximum(found.std(axis=1, ddof=1) * np.sqrt(1 + 1 / near), 1e-3)
        return stats.t.cdf((joint(new).max(axis=1) + found.mean(axis=1)) / width, near - 1)


def gaussian_process(
    finished: Finished, prior: Sequence[Finished], kind: Kind
) -> GaussianProcess | None:
    """The process; None from fewer than twelve runs. It reads no prior."""
    return GaussianProcess(finished) if len(finished.curves) >= LEAST else None


def nearest_curves(
    finished: Finished, prior: Sequence[Finished], kind: Kind
) -> NearestCurves | None:
    """The nearest curves; None from fewer than twelve runs. They read no prior."""
    return NearestCurves(finished) if len(finished.curves) >= LEAST else None


def _best(curves: Curves, spreads: Array) -> Array:
    return joint(scaled(curves.slacks, spreads, squash=False)).max(axis=1)


def _standard(known: Array, new: Array) -> tuple[Array, Array]:
    known, new = np.nan_to_num(known), np.nan_to_num(new)
    width = known.std(axis=0)
    used = width > 1e-9
    centre = known.mean(axis=0)
    return (known - centre)[:, used] / width[used], (new - centre)[:, used] / width[used]


def _distances(a: Array, b: Array) -> Array:
    """Mean squared differences [n, m] of rows."""
    square = (a**2).sum(axis=1)[:, None] + (b**2).sum(axis=1) - 2 * a @ b.T
    return np.maximum(square, 0.0) / a.shape[1]


def _kernel(a: Array, b: Array, length: float) -> Array:
    return np.exp(-_distances(a, b) / (2 * length**2))


def _fit(
    x: Array, y: Array, weights: Array, length: float, noise: float
) -> tuple[float, float, float, float, Array]:
    """Log marginal likelihood at the best variance, the candidate, that variance, the inverse."""
    cover = (1 - noise) * _kernel(x, x, length) + np.diag(noise / weights)
    inverse = np.linalg.inv(cover)
    variance = max(float(y @ inverse @ y) / len(y), 1e-6)
    likelihood = -0.5 * (len(y) * np.log(variance) + np.linalg.slogdet(cover)[1])
    return float(likelihood), length, noise, variance, inverse
