"""The chance that a run in progress will pass, learnt from finished runs and their schedules."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from sweep.decisions import ridge
from sweep.decisions.curves import LOOKS, Curves, epochs_seen, features, joint, scaled, spread

Array = npt.NDArray[np.float64]

LEAST_RUNS = 20
"""With fewer finished runs nothing is forecast: no method tried had skill with ten."""

LEAST_OWN = 5
"""With a prior, so many of the study's own runs: the spread of the slacks is theirs."""

PRIOR_RUNS = 20.0
"""A prior counts as at most so many runs."""

ASSURED = 1e-6
"""No chance is nearer than this to 0 or 1."""


@dataclass(frozen=True)
class Kind:
    """Which forecast: the candidates of the benchmark. The default is the chosen one."""

    squash: bool = True
    """asinh of the slacks; else the slacks, clipped at eight spreads."""
    schedule: bool = True
    clip: float = 3.0
    """The target is clipped to this many (squashed) spreads around the threshold."""
    recalibrate: bool = True


@dataclass(frozen=True)
class Finished:
    """Runs that reached their end. ``weights`` [n]: 1, and 1/q for an audited run."""

    curves: Curves
    weights: Array


@dataclass(frozen=True)
class Outlook:
    """A forecast fitted to finished runs."""

    kind: Kind
    spreads: Array  # [J]
    looks: tuple[ridge.Ridge, ...]
    shift: float
    slope: float
    """``logit p' = shift + slope logit p``."""

    def chance(self, curves: Curves, look: int, seen: int) -> Array:
        """P(the run will have passed at its end) at ``look`` after ``seen`` epochs; [n]."""
        x = features(curves, seen, self.spreads, self.kind.squash, self.kind.schedule)
        raw = _logit(self.looks[look].chance(x))
        out: Array = _sigmoid(self.shift + self.slope * raw)
        return out


def fit(
    finished: Finished, prior: Sequence[Finished] = (), kind: Kind | None = None
) -> Outlook | None:
    """The forecast learnt from ``finished``; None from fewer than ``LEAST_RUNS`` runs.

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
    if len(finished.curves) < (LEAST_OWN if prior else LEAST_RUNS):
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
    plain = Outlook(kind, spreads[0], tuple(fits), 0.0, 1.0)
    if not kind.recalibrate:
        return plain
    own = len(finished.curves)
    raw = np.stack([_logit(look.left_out[:own]) for look in fits], axis=1)
    shift, slope = recalibration(raw, target[:own] >= 0, finished.weights)
    return replace(plain, shift=shift, slope=slope)


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


def recalibration(logits: Array, passed: npt.NDArray[np.bool_], weights: Array) -> tuple[float, float]:
    """The shift and slope that make left-out ``logits`` [n, looks] fit what ``passed`` [n].

    The most probable (a, b) of ``logit p' = a + b logit p`` with a ~ N(0, 1), log b ~ N(0, 0.5):
    with no evidence p stays as it is. A run counts once over its looks (Platt 1999, with a prior).
    """
    x = logits
    y = passed[:, None].astype(np.float64)
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
    return a, float(np.exp(c))


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
