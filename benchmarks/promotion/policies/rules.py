"""Policies that need no library: none, an oracle, a fixed epoch, and two earlier rules of ours."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from benchmarks.promotion.replay import Fate, Judge, Policy, Trial
from benchmarks.promotion.task import Array, Task

FIRST_LOOK = 0.35
"""The oracle stops here: where our own rule looks for the first time."""


@dataclass(frozen=True)
class Stateless:
    """A policy whose stopping point is a function of the trial's own curve."""

    stop: Callable[[Trial], int | None]
    """Points seen when it stops a trial, or None."""

    def judge(self, task: Task, seed: int) -> Judge:
        """The policy itself: nothing is learnt in a study."""
        return self

    def follow(self, trial: Trial) -> Fate:
        """Runs the trial to the rule's point."""
        seen = self.stop(trial)
        return Fate(trial.task.points if seen is None else seen, flagged=seen)


def no_pruning(trial: Trial) -> int | None:
    """Stops nothing."""
    return None


def oracle(trial: Trial) -> int | None:
    """Knows the end, and stops every failing run at the first look."""
    return None if trial.task.passes[trial.row] else math.ceil(FIRST_LOOK * trial.task.points)


@dataclass(frozen=True)
class LateOracle:
    """Knows every end as soon as ``startup`` trials have ended, as no rule that learns can."""

    startup: int

    def judge(self, task: Task, seed: int) -> Judge:
        """A judge that has seen no trial."""
        return _LateOracleJudge(self.startup)


@dataclass
class _LateOracleJudge:
    startup: int
    ended: int = 0

    def follow(self, trial: Trial) -> Fate:
        seen = oracle(trial) if self.ended >= self.startup else None
        self.ended += seen is None
        return Fate(trial.task.points if seen is None else seen, flagged=seen)


def script(trial: Trial) -> int | None:
    """The earlier script: a probe of half the run must pass the thresholds to be run in full."""
    half = math.ceil(trial.task.points / 2)
    return None if trial.task.joint[trial.row, :half].max() >= 0 else half


@dataclass(frozen=True)
class FixedEpoch:
    """Discards at a fixed epoch (i-Epoch, arXiv 2404.04111), one trial after the other.

    After the share ``at`` of the run a trial goes on if its best point so far is in the best
    ``keep`` of all trials at that point. The first ``startup`` trials run to their end.
    """

    at: float = 0.2
    keep: float = 1 / 3
    startup: int = 5

    def judge(self, task: Task, seed: int) -> Judge:
        """A judge that has seen no trial."""
        return _FixedEpochJudge(self)


@dataclass
class _FixedEpochJudge:
    rule: FixedEpoch
    seen: list[float] = field(default_factory=list)

    def follow(self, trial: Trial) -> Fate:
        at = math.ceil(self.rule.at * trial.task.points)
        best = float(trial.task.joint[trial.row, :at].max())
        rank = sum(other > best for other in self.seen)
        self.seen.append(best)
        if trial.number >= self.rule.startup and rank >= self.rule.keep * len(self.seen):
            return Fate(at, flagged=at)
        return Fate(trial.task.points)


TIME_CONSTANTS = (0.125, 0.25, 0.5, 1.0, 2.0)
FLOOR = 0.02
WARMUP = 5
ALLOWANCE = 1.64


def exponential(trial: Trial) -> int | None:
    """The rule that this project had first: a saturating exponential fitted to each metric.

    From point ``WARMUP`` on, each metric's end is forecast by the best of five fits
    ``a + b exp(-t / tau)``. A run stops if the joint margin of ``ALLOWANCE`` standard deviations to
    the good side, or of the best so far where that is better, still fails, and no point has passed.
    """
    slacks, joint = trial.task.slacks[trial.row], trial.task.joint[trial.row]
    points = trial.task.points
    for t in range(WARMUP, points):
        if joint[:t].max() >= 0 or not np.isfinite(slacks[:t]).all():
            if not np.isfinite(slacks[:t]).all() and joint[:t].max() < 0:
                return t  # that product ended a run whose metric is not a number
            continue
        hoped = (
            max(slacks[:t, j].max(), _hoped(slacks[:t, j], points)) for j in range(slacks.shape[1])
        )
        if min(hoped) < 0:
            return t
    return None


def _hoped(y: Array, points: int) -> float:
    fits = [_fit(y, points, tau * points) for tau in TIME_CONSTANTS]
    rss, mean, leverage = min(fits, key=lambda fit: fit[0])
    scatter = max(math.sqrt(rss / (len(y) - 2)), FLOOR * float(np.ptp(y)))
    return mean + ALLOWANCE * scatter * math.sqrt(1 + leverage)


def _fit(y: Array, points: int, tau: float) -> tuple[float, float, float]:
    """Residual sum of squares, value at the last point, and that point's leverage."""
    x = np.exp(-np.arange(len(y)) / tau)
    away, spread = x - x.mean(), float(((x - x.mean()) ** 2).sum())
    slope = float(away @ y) / spread
    residual = y - y.mean() - slope * away
    to = math.exp(-(points - 1) / tau) - float(x.mean())
    return float(residual @ residual), float(y.mean()) + slope * to, 1 / len(y) + to * to / spread


def cached(rule: Callable[[Trial], int | None]) -> Callable[[Trial], int | None]:
    """``rule`` computed once a curve."""
    known: dict[tuple[int, int], int | None] = {}

    def look_up(trial: Trial) -> int | None:
        key = (id(trial.task), trial.row)
        if key not in known:
            known[key] = rule(trial)
        return known[key]

    return look_up


def names() -> Sequence[str]:
    """The policies of this module."""
    return tuple(RULES)


RULES: dict[str, Callable[[], Policy]] = {
    "none": lambda: Stateless(no_pruning),
    "oracle": lambda: Stateless(oracle),
    "oracle-after-5": lambda: LateOracle(5),
    "oracle-after-12": lambda: LateOracle(12),
    "fixed-epoch": FixedEpoch,
    "script": lambda: Stateless(script),
    "exponential": lambda: Stateless(cached(exponential)),
}
