"""The chance that a run in progress will pass, learnt from finished runs and their schedules."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from sweep.decisions.stopping import ridge
from sweep.decisions.stopping.curves import (
    LOOKS,
    Curves,
    epochs_seen,
    features,
    joint,
    scaled,
    spread,
)
from sweep.study.look import Forecast

Array = npt.NDArray[np.float64]

LEAST_OWN = 5
"""With a prior, so many of the study's own runs: the spread of the slacks is theirs."""

PRIOR_RUNS = 20.0
"""A prior counts as at most so many runs."""

ASSURED = 1e-6
"""No chance is nearer than this to 0 or 1."""


@dataclass(frozen=True)
class Kind:
    """Which forecast: the candidates of the benchmark. The default is the chosen one."""

    squash: bool = False
    """asinh of the slacks; else the slacks, clipped at eight spreads."""
    schedule: bool = True
    clip: float = 8.0
    """The target is clipped to this many (squashed) spreads around the threshold."""
    least_runs: int = 12
    """From fewer finished runs, and without a prior, nothing is forecast."""
    recalibrate: bool = True
    averaged: bool = True
    """The recalibration's uncertainty is averaged over; else its most probable value is taken."""


@dataclass(frozen=True)
class Finished:
    """Runs that reached their end. ``weights`` [n]: 1, and 1/q for an audited run."""

    curves: Curves
    weights: Array


def _nodes(count: int) -> tuple[Array, Array]:
    """Points [2, count^2] and weights of Gauss-Hermite quadrature under two normal variables."""
    points, weights = np.polynomial.hermite_e.hermegauss(count)
    first, second = np.meshgrid(points, points)
    both = np.outer(weights, weights)
    return np.stack([first.ravel(), second.ravel()]), (both / both.sum()).ravel()


NODES, NODE_WEIGHTS = _nodes(7)


@dataclass(frozen=True)
class Correction:
    """``p'`` as the mean of ``sigmoid(shift + slope logit p)`` under weights."""

    shift: Array  # [k]
    slope: Array  # [k]
    weights: Array  # [k], of sum 1

    def chance(self, p: Array) -> Array:
        """p' of each p [n]."""
        out: Array = _sigmoid(self.shift + np.multiply.outer(_logit(p), self.slope)) @ self.weights
        return out


IDENTITY = Correction(np.zeros(1), np.ones(1), np.ones(1))


@dataclass(frozen=True)
class Outlook:
    """A forecast fitted to finished runs."""

    kind: Kind
    spreads: Array  # [J]
    looks: tuple[ridge.Ridge, ...]
    correction: Correction

    def chance(self, curves: Curves, look: int, seen: int) -> Array:
        """P(the run will have passed at its end) at ``look`` after ``seen`` epochs; [n]."""
        x = features(curves, seen, self.spreads, self.kind.squash, self.kind.schedule)
        return self.correction.chance(self.looks[look].chance(x))

    def forecast(self, curves: Curves, look: int, seen: int) -> Forecast:
        """The best joint slack of the whole run, for the first of ``curves``."""
        x = features(curves, seen, self.spreads, self.kind.squash, self.kind.schedule)
        mean, deviation = self.looks[look].predict(x[:1])
        return Forecast(mean=float(mean[0]), deviation=float(deviation[0]))


def fit(
    finished: Finished, prior: Sequence[Finished] = (), kind: Kind | None = None
) -> Outlook | None:
    """The forecast learnt from ``finished``; None from fewer than ``kind.least_runs`` runs.

    For each look a ridge regression predicts the run's best joint slack (in spreads) from
    :func:`features`; it is the joint event itself, so that no correlation is assumed away. Its
    Student t gives P(pass); two parameters correct these on runs left out (:func:`recalibration`).
    Pass one run a configuration: leaving out one of several seeds of a setting would flatter the
    forecast.

    ``prior`` has runs of other tasks, each part scaled by its own spread. Together they count as
    ``PRIOR_RUNS`` runs at most, and ``LEAST_OWN`` runs of the study are then enough. Runs of
    earlier studies with the same data, metrics and thresholds belong into ``finished``.
    """
    kind = kind or Kind()
    if len(finished.curves) < (LEAST_OWN if prior else kind.least_runs):
        return None
    parts = [finished, *_counted(prior)]
    spreads = [spread(part.curves.slacks) for part in parts]
    pairs = list(zip(parts, spreads, strict=True))
    best = [joint(scaled(p.curves.slacks, s, kind.squash)).max(axis=1) for p, s in pairs]
    target = np.clip(np.concatenate(best), -kind.clip, kind.clip)
    weights = np.concatenate([part.weights for part in parts])
    fits = []
    for look in range(len(LOOKS)):
        x = _same_columns([_at(part.curves, look, scale, kind) for part, scale in pairs])
        fits.append(ridge.fit(np.concatenate(x), target, weights))
    correction = IDENTITY
    if kind.recalibrate:
        own = len(finished.curves)
        left_out = np.stack([look.left_out[:own] for look in fits], axis=1)
        correction = recalibration(left_out, target[:own] >= 0, finished.weights, kind.averaged)
    return Outlook(kind, spreads[0], tuple(fits), correction)


def _counted(prior: Sequence[Finished]) -> list[Finished]:
    total = sum(float(part.weights.sum()) for part in prior)
    factor = min(1.0, PRIOR_RUNS / total) if total else 1.0
    return [replace(part, weights=part.weights * factor) for part in prior]


def _same_columns(blocks: list[Array]) -> list[Array]:
    """Every block with the columns of the first: its own schedule's; others are unknown."""
    columns = blocks[0].shape[1]
    return [
        np.pad(block, ((0, 0), (0, max(0, columns - block.shape[1]))), constant_values=np.nan)[
            :, :columns
        ]
        for block in blocks
    ]


def recalibration(
    chances: Array, passed: npt.NDArray[np.bool_], weights: Array, averaged: bool = True
) -> Correction:
    """What makes left-out ``chances`` [n, looks] fit what ``passed`` [n].

    ``logit p' = a + b logit p`` with a ~ N(0, 1), log b ~ N(0, 0.5): with no evidence the most
    probable p' is p. A run counts once over its looks (Platt 1999, with a prior). p' is averaged
    over the posterior of (a, log b) in Laplace's approximation: from thirty runs of which one
    passed, no chance of 1e-4 can be had.
    """
    x, y = _logit(chances), passed[:, None].astype(np.float64)
    w = (weights * (len(weights) / weights.sum()))[:, None] / x.shape[1]
    a, c = 0.0, 0.0
    for _ in range(25):
        b = np.exp(c)
        p = _sigmoid(a + b * x)
        error, curvature = w * (p - y), w * p * (1 - p)
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


def _at(curves: Curves, look: int, spreads: Array, kind: Kind) -> Array:
    seen = epochs_seen(look, curves.epochs) or max(1, curves.epochs - 1)
    return features(curves, seen, spreads, kind.squash, kind.schedule)


def _logit(p: Array) -> Array:
    q = np.clip(p, ASSURED, 1 - ASSURED)
    out: Array = np.log(q) - np.log1p(-q)
    return out


def _sigmoid(x: Array) -> Array:
    out: Array = 1 / (1 + np.exp(-np.clip(x, -30, 30)))
    return out
