"""Whether an admitted schedule replaces the champion: a comparison paired by seed.

Both have replicates under the same seeds, measured on the same test liveries. Two things are tested
on the differences, each at 5 %, and both must be shown (an intersection-union test):

- superiority: the challenger is better on the objective;
- non-inferiority: on each other threshold's metric it is not worse by one calibrated standard
  deviation over seeds (Blackwelder, Controlled Clinical Trials 3, 1982, of the margin).

The margin of non-inferiority is the calibrated number, which the reason names. A challenger that is
worse by one true standard deviation can pass more often than in 5 % of cases, since the calibration
knows that deviation only roughly (docs/log.md, 2026-11-26).

The standard deviation of a difference is ``sqrt(2 (1 - rho)) s``, with rho the correlation of two
schedules' figures under one seed. The number of pairs depends on when the challenger was admitted,
so on its figures. The group-sequential boundary holds whichever number that is.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from sweep.decisions.replicates import MeanTest, conclude, tested_mean
from sweep.study.calibration import MetricNoise, Spread
from uvtex.metric_catalogue import higher_is_better, same_definition
from uvtex.thresholds import Threshold

MARGIN = 1.0
"""How much worse the challenger may be on the other metrics, in standard deviations over seeds."""


@dataclass(frozen=True)
class Contender:
    """A version's replicates, and what they were measured on and by."""

    name: str
    """For messages, such as ``version 3 (quickstart/7)``."""
    figures: Mapping[int, Mapping[str, float]]
    """Seed -> metric -> figure on the test liveries."""
    definitions: Mapping[str, str]
    """Metric definitions, see :func:`uvtex.metric_catalogue.versions`."""
    data_fingerprint: str | None
    """Digest of the test pictures; None if the version does not say."""


@dataclass(frozen=True)
class Comparison:
    """The answer on who is champion."""

    verdict: Literal["challenger", "champion", "continue"]
    """Who is champion. ``continue``: undecided; more shared seeds could decide it. Until then the
    champion stays."""
    reason: str
    """In words, with the figures."""
    seeds: tuple[int, ...]
    """The seeds that both have."""
    tests: tuple[MeanTest, ...]
    """On differences challenger - champion: superiority first. Empty where they do not compare."""


def pair_spread(noise: MetricNoise) -> Spread:
    """The spread of a difference between two schedules with one seed.

    Without an estimate of rho from the calibration, rho is 0. That is too wide, so it is careful,
    wherever a seed moves the figures of both schedules to the same side.
    """
    if noise.pairs is not None:
        return noise.pairs
    seeds = noise.seeds
    return Spread(deviation=math.sqrt(2) * seeds.deviation, degrees=seeds.degrees)


def joint_noise(
    challenger: Mapping[str, MetricNoise], champion: Mapping[str, MetricNoise], one_study: bool
) -> Mapping[str, MetricNoise]:
    """The noise by which two versions are compared, from the calibrations of their studies.

    Two schedules of one study have the calibration's spread of a difference. Across two studies
    nothing says that a seed moves both to the same side, so their variances add, and the fewer
    degrees of freedom count. Where the champion's study has no calibration, the challenger's
    stands for both.
    """
    if one_study:
        return challenger
    return {
        metric: _independent(noise, champion.get(metric, noise))
        for metric, noise in challenger.items()
    }


def _independent(one: MetricNoise, other: MetricNoise) -> MetricNoise:
    pairs = Spread(
        deviation=math.hypot(one.seeds.deviation, other.seeds.deviation),
        degrees=min(one.seeds.degrees, other.seeds.degrees),
    )
    return one.model_copy(update={"pairs": pairs})


def compare(
    challenger: Contender,
    champion: Contender | None,
    thresholds: Sequence[Threshold],
    objective: str,
    noise: Mapping[str, MetricNoise],
    most: int,
) -> Comparison:
    """Who is champion after the replicates so far.

    Args:
        challenger: an admitted version.
        champion: the version that holds the alias; None if none does.
        thresholds: the absolute thresholds of the challenger's study. Their metrics but the
            objective are tested for non-inferiority.
        objective: the metric on which the challenger must be better.
        noise: the noise of each metric at the stage of the replicates, see :func:`joint_noise`.
            A metric without one leaves the champion in place.
        most: at most so many pairs are compared, 1 to 8; fixed before the first.

    Raises:
        ValueError: ``most`` is not 1 to 8.
    """
    if champion is None:
        return Comparison("challenger", "the first champion", (), ())
    others = [t.metric for t in thresholds if t.metric != objective]
    problem = _incomparable(challenger, champion, [objective, *others], noise)
    if problem is not None:
        reason = f"{champion.name} stays champion, since the two cannot be compared: {problem}"
        return Comparison("champion", reason, (), ())
    seeds = tuple(sorted(challenger.figures.keys() & champion.figures.keys()))[:most]
    if not seeds:
        reason = f"{champion.name} stays champion: the two have no seed in common yet"
        return Comparison("continue", reason, (), ())
    tests = tuple(
        _test(metric, metric == objective, challenger, champion, seeds, noise[metric], most)
        for metric in [objective, *others]
    )
    return _answer(challenger, champion, seeds, tests, most)


def _answer(
    challenger: Contender,
    champion: Contender,
    seeds: tuple[int, ...],
    tests: tuple[MeanTest, ...],
    most: int,
) -> Comparison:
    verdict, _ = conclude(tests, len(seeds), most)
    pairs = f"{len(seeds)} of at most {most} seeds that both have"
    listed = "; ".join(map(_shown, tests))
    if verdict == "admit":
        reason = f"{challenger.name} replaces {champion.name} after {pairs}: {listed}"
        return Comparison("challenger", reason, seeds, tests)
    short = "; ".join(_shown(test) for test in tests if not test.passed)
    if verdict == "reject":
        reason = f"{champion.name} stays champion after {pairs}: not shown: {short}"
        return Comparison("champion", reason, seeds, tests)
    reason = f"{champion.name} stays champion, undecided after {pairs}: not shown yet: {short}"
    return Comparison("continue", reason, seeds, tests)


def _test(
    metric: str,
    superior: bool,
    challenger: Contender,
    champion: Contender,
    seeds: Sequence[int],
    noise: MetricNoise,
    most: int,
) -> MeanTest:
    differences = [
        challenger.figures[seed][metric] - champion.figures[seed][metric] for seed in seeds
    ]
    allowed = 0.0 if superior else MARGIN * noise.seeds.deviation
    if higher_is_better(metric) is False:
        bound = Threshold(metric=metric, at_most=allowed)
    else:
        bound = Threshold(metric=metric, at_least=-allowed)
    what = "better" if superior else f"not worse by {allowed:.2g}"
    return tested_mean(metric, f"{metric} {what}", differences, bound, pair_spread(noise), most)


def _shown(test: MeanTest) -> str:
    return (
        f"{test.name} (difference {test.mean:+.2g}, interval {test.low:+.2g} to {test.high:+.2g})"
    )


def _incomparable(
    one: Contender,
    other: Contender,
    metrics: Sequence[str],
    noise: Mapping[str, MetricNoise],
) -> str | None:
    """Why the figures do not compare; None if they do. An unstated fact equals no other."""
    for side in (one, other):
        if not side.figures:
            return f"{side.name} holds no figures by seed"
    if one.data_fingerprint is None or one.data_fingerprint != other.data_fingerprint:
        return "they were measured on different test pictures"
    for metric in metrics:
        for side in (one, other):
            for seed, figures in side.figures.items():
                if not math.isfinite(figures.get(metric, math.nan)):
                    return f"{side.name} has no figure for {metric} under seed {seed}"
        if not same_definition(metric, one.definitions, other.definitions):
            return f"{metric} was measured by different definitions"
        if metric not in noise:
            return f"no calibration says how far seeds alone move {metric}; run `sweep calibrate`"
    return None
