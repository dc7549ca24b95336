"""Whether a study's thresholds can be told from noise with the replicates that are allowed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from scipy import optimize, stats

from sweep.decisions.group_sequential import ERROR, MOST, admission_probability
from sweep.study.calibration import Calibration, StageCalibration
from sweep.study.folder import Stage
from uvtex.thresholds import Threshold

POWER = 0.8
"""Probability of admission that counts as enough."""

FARTHEST = 1000.0
"""Distances beyond this many standard deviations are all the same."""


@dataclass(frozen=True)
class Candidate:
    """A named schedule's way past the thresholds, by its mean over seeds."""

    schedule: str
    distances: dict[str, float]
    """Threshold -> distance of the mean from it, in standard deviations over seeds; > 0 passes."""
    error: float
    """Standard error of each distance."""
    admission: float
    """Probability that its replicates are admitted: the product over thresholds of each test's."""

    @property
    def nearest(self) -> tuple[str, float]:
        """The threshold that is hardest for it, and the distance from it."""
        return min(self.distances.items(), key=lambda item: item[1])


@dataclass(frozen=True)
class CalibrationVerdict:
    """What the calibration says about the thresholds."""

    told_apart: bool
    """Whether the best named schedule would be admitted with at least :data:`POWER`."""
    best: Candidate
    detectable: float
    """The distance, in standard deviations, at which one threshold is passed with ``POWER``."""
    replicates: int
    """At most so many replicates are run."""
    needed: int | None
    """Replicates with which the best named schedule would be admitted with ``POWER``; above eight
    it is an estimate. None: its mean misses a threshold, so no number would do."""
    reason: str
    """All of this in sentences."""


def judge_calibration(
    calibration: Calibration,
    thresholds: Sequence[Threshold],
    replicates: int,
    stage: Stage = "full",
) -> CalibrationVerdict:
    """The verdict on ``thresholds`` (absolute ones) with at most ``replicates`` replicates.

    Raises:
        KeyError: the calibration lacks the stage or a threshold's metric.
        ValueError: ``replicates`` is not 1 to 8.
    """
    measured = calibration.stages[stage]
    degrees = min(measured.noise[t.metric].seeds.degrees for t in thresholds)
    found = [
        _candidate(name, calibration, thresholds, replicates, stage) for name in measured.means
    ]
    best = max(found, key=lambda candidate: candidate.nearest[1])
    needed = _needed(best, degrees)
    told = best.admission >= POWER
    detectable = detectable_distance(replicates, degrees)
    sentences = [
        _about_noise(measured, threshold, replicates, detectable) for threshold in thresholds
    ]
    sentences.append(_about_best(best, replicates, told, needed))
    sentences.extend(_about_schedules(measured, thresholds))
    return CalibrationVerdict(told, best, detectable, replicates, needed, "\n".join(sentences))


def detectable_distance(replicates: int, degrees: float) -> float:
    """The distance in standard deviations that one threshold's test passes with :data:`POWER`."""

    def lacking(distance: float) -> float:
        return admission_probability(distance, replicates, degrees) - POWER

    return float(optimize.brentq(lacking, 0.0, 60.0, xtol=1e-3))


def _candidate(
    schedule: str,
    calibration: Calibration,
    thresholds: Sequence[Threshold],
    replicates: int,
    stage: Stage,
) -> Candidate:
    measured = calibration.stages[stage]
    distances: dict[str, float] = {}
    admission = 1.0
    for threshold in thresholds:
        spread = measured.noise[threshold.metric].seeds
        raw = threshold.distance(measured.means[schedule][threshold.metric])
        if spread.deviation > 0:
            distance = max(-FARTHEST, min(FARTHEST, raw / spread.deviation))
        else:
            distance = FARTHEST if raw >= 0 else -FARTHEST
        distances[str(threshold)] = distance
        admission *= admission_probability(min(distance, 60.0), replicates, spread.degrees)
    runs = sum(run.schedule == schedule and run.stage == stage for run in calibration.runs)
    return Candidate(schedule, distances, 1 / math.sqrt(runs), admission)


def _needed(best: Candidate, degrees: float) -> int | None:
    distance = best.nearest[1]
    if distance <= 0:
        return None
    for replicates in range(1, MOST + 1):
        chances = (
            admission_probability(min(d, 60.0), replicates, degrees)
            for d in best.distances.values()
        )
        if math.prod(chances) >= POWER:
            return replicates
    # Beyond the table: a fixed one-sided test, whose size the sequential one approaches.
    quantiles = stats.norm.ppf(1 - ERROR) + stats.norm.ppf(POWER)
    return max(MOST + 1, math.ceil((float(quantiles) / distance) ** 2))


def _about_noise(
    measured: StageCalibration, threshold: Threshold, replicates: int, detectable: float
) -> str:
    noise = measured.noise[threshold.metric].seeds
    degrees = "1 degree" if noise.degrees == 1 else f"{noise.degrees} degrees"
    return (
        f"{threshold}: seeds alone give a standard deviation of {noise.deviation:.2g} "
        f"({degrees} of freedom). With {_replicates(replicates)}, a schedule must be "
        f"{detectable * noise.deviation:.2g} better than the threshold to be admitted with "
        f"{POWER:.0%} probability."
    )


def _about_best(best: Candidate, replicates: int, told: bool, needed: int | None) -> str:
    name, distance = best.nearest
    shown = f"{abs(distance):.1f} +/- {best.error:.1f} standard deviations"
    if needed is None:
        return (
            f"No named schedule passes. The nearest, {best.schedule}, misses {name} by {shown}, so "
            "the search has to find a better one."
        )
    lead = f"The best named schedule, {best.schedule}, passes {name} by {shown}"
    with_these = f"with {_replicates(replicates)} it is admitted with {best.admission:.0%}"
    if told:
        return f"{lead}: {with_these}. The thresholds can be told from noise."
    about = "about " if needed > MOST else ""
    return (
        f"{lead}: {with_these}. The thresholds cannot be told from noise; "
        f"{about}{needed} replicates would give {POWER:.0%}."
    )


def _about_schedules(measured: StageCalibration, thresholds: Sequence[Threshold]) -> list[str]:
    lines = []
    for threshold in thresholds:
        noise = measured.noise[threshold.metric]
        if noise.schedules is None or noise.seeds.deviation == 0:
            continue
        ratio = noise.schedules / noise.seeds.deviation
        verdict = "no more than seeds do" if ratio < 1 else "more than seeds do"
        lines.append(
            f"{threshold.metric}: the named schedules' true means differ by a standard deviation "
            f"of {noise.schedules:.2g}, {ratio:.1f} times that of seeds: {verdict}."
        )
    return lines


def _replicates(count: int) -> str:
    return "one replicate" if count == 1 else f"{count} replicates"
