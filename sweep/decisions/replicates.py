"""Whether a schedule is admitted: a group-sequential test of its replicates against each threshold.

A replicate is a full run of the same settings under a new seed, measured on test liveries. The seed
is the unit of the test, so a metric's figure is the mean over liveries. The probe that made the
schedule a candidate was selected because it was good, so it is never a replicate.

Each threshold is tested at 5 %, and all must be passed at the same look (an intersection-union
test: Berger, Technometrics 24, 1982). If one threshold is not met in truth, the others cannot raise
the probability of admission above that threshold's 5 %, whatever the metrics' correlation.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from scipy import special

from sweep.decisions.group_sequential import ERROR, critical
from sweep.study.calibration import Spread
from sweep.study.folder import ThresholdTest
from uvtex.thresholds import Threshold

FUTILITY = 0.8
"""A schedule is rejected early if, for one threshold, the mean of its replicates is on the wrong
side with this much confidence at one look. The stop can only lower the probability of admission, so
nobody is bound by it."""

Verdict = Literal["admit", "reject", "continue"]


@dataclass(frozen=True)
class Replicate:
    """The figures of one replicate."""

    seed: int
    metrics: Mapping[str, float]


@dataclass(frozen=True)
class MeanTest:
    """One mean against one bound after k replicates. All values are in the metric's units."""

    metric: str
    name: str
    """What is tested, for messages: ``ssim_uv >= 0.245``."""
    bound: float
    mean: float
    """Mean of the metric over the replicates."""
    low: float
    """Lower end of the repeated confidence interval ``mean -/+ c_k s / sqrt(k)``.

    Each end is valid at 95 % at whichever look the replicates stop (Jennison and Turnbull, J. R.
    Statist. Soc. B 51, 1989)."""
    high: float
    spread: Spread
    statistic: float
    """T_k = sqrt(k) mean distance / s; >= ``critical`` passes."""
    critical: float
    """c_k of :mod:`sweep.decisions.group_sequential`."""
    futile: bool
    good_is_high: bool

    @property
    def passed(self) -> bool:
        return self.statistic >= self.critical

    def record(self, replicates: int) -> ThresholdTest:
        """The test as it is kept and told, after so many replicates."""
        return ThresholdTest(
            metric=self.metric,
            threshold=self.name,
            passed=self.passed,
            replicates=replicates,
            mean=self.mean,
            low=self.low,
            high=self.high,
            deviation=self.spread.deviation,
            degrees=self.spread.degrees,
            critical=self.critical,
            error=ERROR,
        )

    def __str__(self) -> str:
        end = self.low if self.good_is_high else self.high
        side = "at least" if self.good_is_high else "at most"
        return f"{self.name}: mean {self.mean:.4g}, {side} {end:.4g} with 95 % confidence"


@dataclass(frozen=True)
class Decision:
    """What follows from the replicates so far."""

    verdict: Verdict
    reason: str
    """In words, for people who have not read how the test works."""
    replicates: int
    tests: tuple[MeanTest, ...]
    """One for each threshold; empty before the first replicate."""

    @property
    def records(self) -> tuple[ThresholdTest, ...]:
        """The tests as they are kept and told."""
        return tuple(test.record(self.replicates) for test in self.tests)


def judge(
    replicates: Sequence[Replicate],
    thresholds: Sequence[Threshold],
    spreads: Mapping[str, Spread],
    most: int,
    probe_seed: int,
) -> Decision:
    """The decision after ``replicates``, which are in the order in which their seeds were planned.

    Args:
        thresholds: absolute ones, at least one.
        spreads: the standard deviation over seeds of each threshold's metric, from the calibration.
        most: at most so many replicates are run, 1 to 8; fixed before the first.
        probe_seed: the seed of the probe that was selected.

    Raises:
        ValueError: a replicate has the probe's seed or another one's, there are more than ``most``,
            or there is no threshold.
        KeyError: ``spreads`` lacks a threshold's metric.
    """
    _check_replicates(replicates, thresholds, most, probe_seed)
    k = len(replicates)
    if not k:
        return Decision("continue", f"no replicate has ended; at most {most} are run", 0, ())
    for replicate in replicates:
        if absent := _without_figure(replicate, thresholds):
            reason = f"the replicate with seed {replicate.seed} has no figure for {absent}"
            return Decision("reject", f"rejected: {reason}", k, ())
    tests = tuple(
        tested_mean(
            threshold.metric,
            str(threshold),
            [replicate.metrics[threshold.metric] for replicate in replicates],
            threshold,
            spreads[threshold.metric],
            most,
        )
        for threshold in thresholds
    )
    verdict, reason = conclude(tests, k, most)
    return Decision(verdict, reason, k, tests)


def tested_mean(
    metric: str,
    name: str,
    figures: Sequence[float],
    threshold: Threshold,
    spread: Spread,
    most: int,
) -> MeanTest:
    """The test of the mean of ``figures``, one of each seed, against ``threshold``.

    A standard deviation of 0 leaves the decision to the mean alone.
    """
    k = len(figures)
    c = critical(k, most, spread.degrees)
    mean = math.fsum(figures) / k
    distance = threshold.distance(mean)
    if spread.deviation > 0:
        statistic = math.sqrt(k) * distance / spread.deviation
    else:
        statistic = math.inf if distance >= 0 else -math.inf
    half = c * spread.deviation / math.sqrt(k)
    return MeanTest(
        metric=metric,
        name=name,
        bound=threshold.value,
        mean=mean,
        low=mean - half,
        high=mean + half,
        spread=spread,
        statistic=statistic,
        critical=c,
        futile=statistic < -_futile(spread.degrees),
        good_is_high=threshold.at_least is not None,
    )


@lru_cache
def _futile(degrees: int) -> float:
    return float(special.stdtrit(degrees, FUTILITY))


def conclude(tests: Sequence[MeanTest], k: int, most: int) -> tuple[Verdict, str]:
    """The verdict on tests that must all be passed at one look, and why."""
    after = f"after {k} of at most {most} replicates"
    short = [test for test in tests if not test.passed]
    if not short:
        return "admit", f"admitted {after}: {_listed(tests)}"
    futile = [test for test in short if test.futile]
    if futile:
        return "reject", f"rejected {after}: {_listed(futile)}; more replicates would hardly help"
    if k >= most:
        return "reject", f"rejected {after}: not shown that {_listed(short)}"
    return "continue", f"undecided {after}: {_listed(short)}"


def _listed(tests: Sequence[MeanTest]) -> str:
    return "; ".join(str(test) for test in tests)


def _check_replicates(
    replicates: Sequence[Replicate], thresholds: Sequence[Threshold], most: int, probe_seed: int
) -> None:
    seeds = [replicate.seed for replicate in replicates]
    if probe_seed in seeds:
        raise ValueError(f"seed {probe_seed} is the probe's, so its run is no replicate")
    if len(set(seeds)) < len(seeds):
        raise ValueError(f"each replicate needs a seed of its own, got {seeds}")
    if len(seeds) > most:
        raise ValueError(f"at most {most} replicates may be judged, got {len(seeds)}")
    if not thresholds:
        raise ValueError("replicates need at least one threshold")


def _without_figure(replicate: Replicate, thresholds: Sequence[Threshold]) -> str | None:
    names = [threshold.metric for threshold in thresholds]
    return next(
        (name for name in names if not math.isfinite(replicate.metrics.get(name, math.nan))), None
    )
