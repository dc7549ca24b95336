"""Learning curves as a forecast reads them: slacks so far, the schedule known in advance, looks."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import count, takewhile

import numpy as np
import numpy.typing as npt

LOOKS = (0.35, 0.5, 0.65, 0.8)
"""Parts of a probe after which it is judged. Each further look would add a chance to err."""

LIMIT, PLAIN_LIMIT = 1e3, 8.0
"""Slacks are clipped to this many spreads: before asinh, and without it. A point that is not a
number counts as the lowest."""

SLIGHT = 1e-9

LEAST_SHARE = 1e-3
"""Of a loss weight: a smaller one counts as this."""

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Curves:
    """Runs of one length, with what is known of each before it starts.

    ``slacks`` [n, E, J]: signed distance of each metric to its threshold, in any unit that is the
    same for all runs; >= 0 passes. Of a run in progress only the epochs seen so far are read.
    ``lr`` [n, E] in any unit and ``loss_weights`` [n, E, W]: the schedule, or None where unknown;
    a run without a known learning rate has NaN in its row. ``length``: epochs of a whole run, where
    the slacks are of runs in progress.
    """

    slacks: Array
    lr: Array | None = None
    loss_weights: Array | None = None
    length: int | None = None

    @property
    def epochs(self) -> int:
        """Epochs of a whole run."""
        return self.length or int(self.slacks.shape[1])

    def __len__(self) -> int:
        return len(self.slacks)


def epochs_seen(look: int, epochs: int, least: int = 1) -> int | None:
    """Epochs after which ``look`` of a run is due, or None if that is before ``least`` epochs.

    >>> [epochs_seen(look, 20) for look in range(4)]
    [7, 10, 13, 16]
    """
    seen = math.ceil(round(LOOKS[look] * epochs, 6))
    return seen if least <= seen < epochs else None


def prefix(reported: Mapping[int, Sequence[float]]) -> Array:
    """The slacks [t, J] of epochs 1 to t, the last before a gap, in whatever order they came.

    What lies behind a gap waits until the gap is filled.

    >>> prefix({2: [0.5], 1: [0.25], 4: [1.0]}).tolist()
    [[0.25], [0.5]]
    """
    epochs = takewhile(lambda epoch: epoch in reported, count(1))
    rows = [list(reported[epoch]) for epoch in epochs]
    return np.array(rows, dtype=np.float64) if rows else np.empty((0, 0))


def joint(slacks: Array) -> Array:
    """The smallest slack over the metrics, -inf where one is not a number; [..., J] -> [...]."""
    clean = np.where(np.isnan(slacks), -np.inf, slacks)
    # One metric after the other: numpy's minimum over a last axis of two is ten times slower.
    return reduce(np.minimum, (clean[..., j] for j in range(clean.shape[-1])))


def spread(slacks: Array) -> Array:
    """A robust standard deviation [J] of the metrics' best values over runs [n, E, J].

    It is 1.4826 median absolute deviations; where more than half the runs agree, the mean absolute
    deviation; where all do, 1.
    """
    best = np.where(np.isfinite(slacks), slacks, np.nan)
    best = np.fmax.reduce(best, axis=1)
    best = best[np.isfinite(best).all(axis=1)]
    if not len(best):
        return np.ones(slacks.shape[2])
    away = np.abs(best - np.median(best, axis=0))
    robust = 1.4826 * np.median(away, axis=0)
    fallback = away.mean(axis=0)
    out: Array = np.where(robust > SLIGHT, robust, np.where(fallback > SLIGHT, fallback, 1.0))
    return out


def scaled(slacks: Array, spreads: Array, squash: bool) -> Array:
    """Slacks in spreads, clipped; with ``squash`` their asinh, which keeps the sign."""
    limit = LIMIT if squash else PLAIN_LIMIT
    clean = np.where(np.isnan(slacks), -np.inf, slacks) / spreads
    clean = np.minimum(np.maximum(clean, -limit), limit)
    return np.arcsinh(clean) if squash else clean


def rising(curves: Curves, seen: int, spreads: Array) -> npt.NDArray[np.bool_]:
    """Whether each run's best joint slack so far is of the last third of ``seen`` epochs; [n]."""
    lowest = joint(curves.slacks[:, :seen] / spreads)
    out: npt.NDArray[np.bool_] = lowest.argmax(axis=1) >= seen - max(1, seen // 3)
    return out


def features(curves: Curves, seen: int, spreads: Array, squash: bool, schedule: bool) -> Array:
    """What a forecast knows of each run after ``seen`` epochs; [n, F], NaN where unknown.

    Of each metric: the slack now, the mean of the last third, that mean's rise over the third
    before, the best so far. Of the joint slack: the best so far, and now. With ``schedule`` also
    :func:`schedule_features`.
    """
    z = scaled(curves.slacks[:, :seen], spreads, squash)
    third = max(1, seen // 3)
    lowest = joint(z)
    columns = [lowest[:, -1], lowest.max(axis=1)]
    for metric in np.moveaxis(z, 2, 0):  # [n, t]
        late = metric[:, -third:].mean(axis=1)
        before = metric[:, -2 * third : -third].mean(axis=1) if seen >= 2 * third else late
        columns += [metric[:, -1], late, late - before, metric.max(axis=1)]
    if schedule:
        columns += list(schedule_features(curves, seen).T)
    return np.stack(columns, axis=1)


def schedule_features(curves: Curves, seen: int) -> Array:
    """What is known in advance of the rest of each run after ``seen`` epochs; [n, F].

    The learning rate counts over its peak. So far: its sum over the epochs (S1 of arXiv 2408.11029)
    and the epochs since its minimum. Now: its value. To come: its sum, its peak, its end, how far
    it will fall, and the area under that fall (the annealing area S2 there). Of each loss weight:
    the logarithm of its share in the epochs to come. Sums and areas are shares of the run, so that
    runs of any length compare.
    """
    n, epochs = len(curves), curves.epochs
    columns: list[Array] = []
    if curves.lr is not None:
        peak = curves.lr.max(axis=1, keepdims=True)
        lr = curves.lr / np.where(peak > 0, peak, 1.0)
        past, now, rest = lr[:, :seen], lr[:, seen - 1], lr[:, seen:]
        fall = np.maximum(now[:, None] - rest, 0.0)
        since = (seen - 1 - past.argmin(axis=1)) / epochs
        since = np.where(np.isnan(now), np.nan, since)
        columns += [past.sum(axis=1) / epochs, now, rest.sum(axis=1) / epochs, rest.max(axis=1)]
        columns += [rest[:, -1], fall.max(axis=1), fall.sum(axis=1) / epochs, since]
        columns.append(np.isnan(now).astype(np.float64))
    if curves.loss_weights is not None:
        rest = curves.loss_weights[:, seen:].sum(axis=1)
        total = rest.sum(axis=1, keepdims=True)
        shares = rest / np.where(total > 0, total, 1.0)
        columns += list(np.log(np.maximum(shares, LEAST_SHARE)).T)
    return np.stack(columns, axis=1) if columns else np.empty((n, 0))
