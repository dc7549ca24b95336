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
)
from sweep.decisions.stopping.curves import (
    LOOKS,
    Curves,
    epochs_seen,
    features,
    joint,
    rising,
    scaled,
    spread,
)
from sweep.decisions.stopping.least_chance import least_chances
from sweep.decisions.stopping.ledger import Ledger
from sweep.decisions.stopping.price import Offers
from sweep.study.look import Forecast

Array = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

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
    split: bool = True
    """That least chance is learnt of settled and of rising runs apart."""
    careful: bool = True
    """That least chance is above its mean while few passers are known."""
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
        still = rising(curves, seen, self.spreads)
        return self.corrections[look].chance(self.looks[look].chance(x), still)

    def least(self, curves: Curves, look: int, seen: int) -> Array:
        """The chance of each run at ``look`` if it seems sure to fail; [n]."""
        return self.corrections[look].least_of(rising(curves, seen, self.spreads))

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
    runs left out (:func:`recalibration`), and :func:`least_chances` bounds them from below.
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
    moments = _moments(finished.curves, spreads[0])
    corrections = _corrected(fits, moments, target, base, kind)
    offers = _offers(fits, moments, corrections, finished.weights, base)
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


@dataclass(frozen=True)
class Moment:
    """The study's own runs as they stood at a look."""

    remaining: float | None
    """The share of the run that was still to come; None: runs are too short for this look."""
    rising: Bools  # [n]
    open_runs: Bools  # [n] which had not passed yet


def _moments(curves: Curves, spreads: Array) -> tuple[Moment, ...]:
    best = np.maximum.accumulate(joint(curves.slacks), axis=1)
    out = []
    for look in range(len(LOOKS)):
        due, seen = epochs_seen(look, curves.epochs), _seen(curves, look)
        remaining = None if due is None else 1 - due / curves.epochs
        out.append(Moment(remaining, rising(curves, seen, spreads), best[:, seen - 1] < 0))
    return tuple(out)


def _corrected(
    looks: Sequence[Pool], moments: Sequence[Moment], target: Array, base: float, kind: Kind
) -> tuple[Correction, ...]:
    """A correction a look, from the study's own runs. Looks err unlike, the first ones most."""
    if not kind.recalibrate:
        return (IDENTITY,) * len(looks)
    own = len(moments[0].rising)
    passed = target[:own] >= 0
    out, lowest = [], np.ones(own)
    for look, moment in zip(looks, moments, strict=True):
        left_out = look.left_out[:own]
        made = recalibration(left_out, passed, kind.averaged)
        if kind.doubtful:
            lowest = np.minimum(lowest, made.chance(left_out, moment.rising))
            least = least_chances(
                lowest,
                passed,
                moment.rising,
                moment.open_runs,
                base,
                split=kind.split,
                careful=kind.careful,
            )
            made = replace(made, least=least)
        out.append(made)
    return tuple(out)


def _offers(
    looks: Sequence[Pool],
    moments: Sequence[Moment],
    corrections: Sequence[Correction],
    weights: Array,
    base: float,
) -> Offers:
    """The left-out chances of the study's own runs, where a flag would have been possible."""
    own = len(weights)
    chances, remaining = [], []
    for look, moment, correction in zip(looks, moments, corrections, strict=True):
        if moment.remaining is None:
            continue
        told = correction.chance(look.left_out[:own], moment.rising)
        chances.append(np.where((told <= base / 2) & moment.open_runs, told, np.inf))
        remaining.append(moment.remaining)
    return Offers(np.array(chances).reshape(-1, own), np.array(remaining), weights)


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
    return features(curves, _seen(curves, look), spreads, kind.squash, kind.schedule)


def _seen(curves: Curves, look: int) -> int:
    """Epochs seen at ``look``; all but the last where runs are too short for it."""
    return epochs_seen(look, curves.epochs) or max(1, curves.epochs - 1)
