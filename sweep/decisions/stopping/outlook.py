"""The chance that a run in progress will pass, learnt from finished runs and their schedules."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from sweep.decisions.stopping import ridge
from sweep.decisions.stopping.audit import Evidence
from sweep.decisions.stopping.correction import (
    IDENTITY,
    Correction,
    recalibration,
    unforeseen,
)
from sweep.decisions.stopping.curves import (
    LOOKS,
    Curves,
    epochs_seen,
    features,
    joint,
    scaled,
    spread,
)
from sweep.decisions.stopping.ledger import Ledger
from sweep.decisions.stopping.price import Offers
from sweep.study.look import Forecast

Array = npt.NDArray[np.float64]

LEAST_OWN = 5
"""With a prior, so many of the study's own runs: the spread of the slacks is theirs."""

PRIOR_RUNS = 20.0
"""A prior counts as at most so many runs."""

NARROW = 0.1
"""Prior odds of each further target against the first: with few runs the widest tells most."""


@dataclass(frozen=True)
class Kind:
    """Which forecast: the candidates of the benchmark. The default is the chosen one."""

    squash: bool = False
    """asinh of the slacks; else the slacks, clipped at eight spreads."""
    schedule: bool = True
    clips: tuple[float, ...] = (8.0, 1.0)
    """The targets of a look's regressions: the best joint slack, clipped to so many (squashed)
    spreads around the threshold. Widest first."""
    least_runs: int = 12
    """From fewer finished runs, and without a prior, nothing is forecast."""
    recalibrate: bool = True
    averaged: bool = True
    """The recalibration's uncertainty is averaged over; else its most probable value is taken."""
    doubtful: bool = True
    """No chance is below that of a good run that nobody foresees; needs ``recalibrate``."""
    priced: bool = True
    """A flag must save enough for what it risks: :class:`Offers`."""


@dataclass(frozen=True)
class Finished:
    """Runs that reached their end. ``weights`` [n]: 1, and 1/q for an audited run."""

    curves: Curves
    weights: Array


@dataclass(frozen=True)
class Pool:
    """Regressions on the same runs and features whose chances are mixed."""

    parts: tuple[ridge.Ridge, ...]
    weights: Array  # of sum 1
    left_out: Array  # [n] mixed chance of each run by the fits without it

    def chance(self, x: Array) -> Array:
        """P(y >= 0) for features ``x`` [n, F]."""
        out: Array = self.weights @ np.stack([part.chance(x) for part in self.parts])
        return out


@dataclass(frozen=True)
class Outlook:
    """A forecast fitted to finished runs."""

    kind: Kind
    spreads: Array  # [J]
    looks: tuple[Pool, ...]
    corrections: tuple[Correction, ...]
    offers: Offers
    base: float
    """The share of all runs that pass."""

    def chance(self, curves: Curves, look: int, seen: int) -> Array:
        """P(the run will have passed at its end) at ``look`` after ``seen`` epochs; [n]."""
        x = features(curves, seen, self.spreads, self.kind.squash, self.kind.schedule)
        return self.corrections[look].chance(self.looks[look].chance(x))

    def least(self, look: int) -> float:
        """The chance at ``look`` of a run that seems sure to fail."""
        return self.corrections[look].least

    def worth(self, ledger: Ledger, evidence: Evidence, saved: float) -> float:
        """The largest chance, as the ledger is told it, that a flag may cost for what it saves.

        The allowance is what is left of it, and what as many runs as there were will add.

        Args:
            saved: the share of the run that is still to come.
        """
        if not self.kind.priced:
            return 1.0
        coming = ledger.risk * self.base * float(self.offers.weights.sum())
        price = self.offers.price((ledger.left + coming) / evidence.factor)
        return evidence.raise_chance(price * saved)

    def forecast(self, curves: Curves, look: int, seen: int) -> Forecast:
        """The best joint slack of the whole run, for the first of ``curves``."""
        x = features(curves, seen, self.spreads, self.kind.squash, self.kind.schedule)
        mean, deviation = self.looks[look].parts[0].predict(x[:1])
        return Forecast(mean=float(mean[0]), deviation=float(deviation[0]))


def fit(
    finished: Finished, prior: Sequence[Finished] = (), kind: Kind | None = None
) -> Outlook | None:
    """The forecast learnt from ``finished``; None from fewer than ``kind.least_runs`` runs.

    For each look ridge regressions predict the run's best joint slack (in spreads) from
    :func:`features`; it is the joint event itself, so that no correlation is assumed away. One
    reads the slack as it is, clipped far out, and tells most where runs fail by degrees. The other
    reads it near the threshold only: where many fail by far, how far says nothing of who passes.
    Their Student t's give P(pass), mixed by :func:`_pool`. Two parameters a look correct these on
    runs left out (:func:`recalibration`), and :func:`unforeseen` bounds them from below.
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
    target = np.concatenate(best)
    weights = np.concatenate([part.weights for part in parts])
    fits = []
    for look in range(len(LOOKS)):
        x = _same_columns([_at(part.curves, look, scale, kind) for part, scale in pairs])
        fits.append(_pool(np.concatenate(x), target, weights, len(finished.curves), kind.clips))
    base = float(finished.weights @ (best[0] >= 0) + 0.5) / float(finished.weights.sum() + 1)
    corrections = _corrected(fits, target, finished, base, kind)
    offers = _offers(fits, corrections, finished, base)
    return Outlook(kind, spreads[0], tuple(fits), corrections, offers, base)


def _pool(x: Array, target: Array, weights: Array, own: int, clips: Sequence[float]) -> Pool:
    """Regressions on ``target`` clipped to each of ``clips``, weighted by what they left out.

    A weight is proportional to the probability that the part's left-out chances give to what
    became of the first ``own`` runs (pseudo-Bayesian model averaging: Geisser and Eddy 1979).
    There each chance is mixed with the share that passes, which counts as one run: of n runs none
    is told a surprise beyond 1 in n.
    """
    parts = tuple(ridge.fit(x, np.clip(target, -clip, clip), weights) for clip in clips)
    passed = target[:own] >= 0
    share = (passed.sum() + 0.5) / (own + 1)
    told = (np.stack([part.left_out[:own] for part in parts]) * own + share) / (own + 1)
    likely = np.where(passed, np.log(told), np.log1p(-told)).sum(axis=1)
    likely[1:] += np.log(NARROW)
    mixed = np.exp(likely - likely.max())
    mixed /= mixed.sum()
    return Pool(parts, mixed, mixed @ np.stack([part.left_out for part in parts]))


def _corrected(
    looks: Sequence[Pool], target: Array, finished: Finished, base: float, kind: Kind
) -> tuple[Correction, ...]:
    """A correction a look, from the study's own runs. Looks err unlike, the first ones most."""
    if not kind.recalibrate:
        return (IDENTITY,) * len(looks)
    own = len(finished.curves)
    passed = target[:own] >= 0
    left_out = [look.left_out[:own] for look in looks]
    made = [recalibration(chances, passed, kind.averaged) for chances in left_out]
    if not kind.doubtful:
        return tuple(made)
    told = [one.chance(chances) for one, chances in zip(made, left_out, strict=True)]
    lowest = np.minimum.accumulate(np.stack(told), axis=0)
    return tuple(
        replace(one, least=unforeseen(chances, passed, base))
        for one, chances in zip(made, lowest, strict=True)
    )


def _offers(
    looks: Sequence[Pool], corrections: Sequence[Correction], finished: Finished, base: float
) -> Offers:
    """The left-out chances of the study's own runs, where a flag would have been possible."""
    curves = finished.curves
    best = np.maximum.accumulate(joint(curves.slacks), axis=1)
    chances, remaining = [], []
    for number, (look, correction) in enumerate(zip(looks, corrections, strict=True)):
        seen = epochs_seen(number, curves.epochs)
        if seen is None:
            continue
        told = correction.chance(look.left_out[: len(curves)])
        open_to = (told <= base / 2) & (best[:, seen - 1] < 0)
        chances.append(np.where(open_to, told, np.inf))
        remaining.append(1 - seen / curves.epochs)
    return Offers(np.array(chances).reshape(-1, len(curves)), np.array(remaining), finished.weights)


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


def _at(curves: Curves, look: int, spreads: Array, kind: Kind) -> Array:
    seen = epochs_seen(look, curves.epochs) or max(1, curves.epochs - 1)
    return features(curves, seen, spreads, kind.squash, kind.schedule)
