"""Error rates and power of the admission of schedules and of the champion's comparison.

``python -m benchmarks.replicates`` draws calibrations and replicates, and asks the very functions
that decide. A metric's figure is its true mean, plus a part of the seed that all
schedules share (``rho``), plus a part of its own. Two metrics are correlated over seeds.
"""

from __future__ import annotations

import argparse
import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sweep.decisions.champion import Contender, compare
from sweep.decisions.replicates import Replicate, judge
from sweep.study.calibration import MetricNoise, Spread
from uvtex.metric_catalogue import versions
from uvtex.thresholds import Threshold

METRICS = ("ssim_uv", "haarpsi_view")
THRESHOLDS = tuple(Threshold(metric=metric, at_least=0.0) for metric in METRICS)
PROBE_SEED = 0

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Scenario:
    """The truth. All figures are in standard deviations over seeds."""

    distances: tuple[float, float]
    """True distance from each threshold; for a champion, true lead over it."""
    correlation: float = 0.0
    """Of the two metrics over seeds."""
    rho: float = 0.0
    """Of two schedules' figures under one seed."""
    schedules: int = 6
    seeds: int = 3
    """Of the calibration."""
    most: int = 5
    at_margin: bool = False
    """For a champion: the challenger is worse on the second metric by the calibrated deviation."""


@dataclass(frozen=True)
class Rates:
    """What became of the simulated candidates."""

    admitted: float
    mean_replicates: float


class Seeds:
    """Draws figures: the part of a seed that schedules share is drawn once."""

    def __init__(self, scenario: Scenario, rng: np.random.Generator) -> None:
        self._scenario, self._rng = scenario, rng
        self._mix = _mix(scenario)
        self._shared: dict[int, Array] = {}

    def figures(self, means: tuple[float, float], seed: int) -> dict[str, float]:
        """The metrics of one run."""
        if seed not in self._shared:
            self._shared[seed] = self._mix @ self._rng.standard_normal(2)
        own = self._mix @ self._rng.standard_normal(2)
        rho = self._scenario.rho
        noise = math.sqrt(rho) * self._shared[seed] + math.sqrt(1 - rho) * own
        return {m: mean + float(e) for m, mean, e in zip(METRICS, means, noise, strict=True)}


def calibration_of(scenario: Scenario, rng: np.random.Generator) -> dict[str, MetricNoise]:
    """The noise that a calibration under the scenario's truth would find.

    The sums of squares of a two-way layout are drawn, and not its figures: that is exact, and a
    hundred times faster. tests/sweep/decisions/test_calibration.py checks one against the other.
    """
    i, j, rho = scenario.schedules, scenario.seeds, scenario.rho
    mix = _mix(scenario)
    own = _squares((i - 1) * (j - 1), mix, rng) * (1 - rho)
    by_seed = _squares(j - 1, mix, rng) * (i * rho + 1 - rho)
    found = {}
    for metric, rest, main in zip(METRICS, own, by_seed, strict=True):
        degrees, apart = i * (j - 1), (i - 1) * (j - 1)
        seeds = Spread(deviation=math.sqrt((rest + main) / degrees), degrees=degrees)
        pairs = Spread(deviation=math.sqrt(2 * rest / apart), degrees=apart) if apart else None
        found[metric] = MetricNoise(seeds=seeds, pairs=pairs)
    return found


def _mix(scenario: Scenario) -> Array:
    r = scenario.correlation
    return np.array([[1.0, 0.0], [r, math.sqrt(1 - r * r)]])


def _squares(degrees: int, mix: Array, rng: np.random.Generator) -> Array:
    """Sum of squares of each metric over ``degrees`` independent draws."""
    squares: Array = ((mix @ rng.standard_normal((2, degrees))) ** 2).sum(axis=1)
    return squares


def admissions(scenario: Scenario, count: int, rng: np.random.Generator) -> Rates:
    """``count`` candidates, each with a calibration of its own, judged after each replicate."""
    admitted, spent = 0, 0
    for _ in range(count):
        noise = calibration_of(scenario, rng)
        spreads = {metric: found.seeds for metric, found in noise.items()}
        seeds = Seeds(scenario, rng)
        replicates: list[Replicate] = []
        verdict = "continue"
        while verdict == "continue":
            seed = len(replicates) + 1
            replicates.append(Replicate(seed, seeds.figures(scenario.distances, seed)))
            verdict = judge(replicates, THRESHOLDS, spreads, scenario.most, PROBE_SEED).verdict
        admitted += verdict == "admit"
        spent += len(replicates)
    return Rates(admitted / count, spent / count)


def replacements(scenario: Scenario, count: int, rng: np.random.Generator) -> Rates:
    """The same for a champion: ``distances`` is the challenger's lead on each metric."""
    replaced, spent = 0, 0
    known = versions(None)
    for _ in range(count):
        noise = calibration_of(scenario, rng)
        seeds = Seeds(scenario, rng)
        lead = scenario.distances
        if scenario.at_margin:
            lead = (lead[0], -noise[METRICS[1]].seeds.deviation)
        ours: dict[int, dict[str, float]] = {}
        theirs: dict[int, dict[str, float]] = {}
        verdict = "continue"
        while verdict == "continue":
            seed = len(ours) + 1
            ours[seed] = seeds.figures(lead, seed)
            theirs[seed] = seeds.figures((0.0, 0.0), seed)
            verdict = compare(
                Contender("the challenger", ours, known, "pictures"),
                Contender("the champion", theirs, known, "pictures"),
                THRESHOLDS,
                METRICS[0],
                noise,
                scenario.most,
            ).verdict
        replaced += verdict == "challenger"
        spent += len(ours)
    return Rates(replaced / count, spent / count)


def _line(what: str, rates: Rates, count: int) -> str:
    error = math.sqrt(rates.admitted * (1 - rates.admitted) / count)
    return (
        f"{what:<52} {100 * rates.admitted:6.2f} +/- {100 * error:.2f} %   "
        f"{rates.mean_replicates:.2f} replicates"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    rng, count = np.random.default_rng(arguments.seed), arguments.count
    print("admission against two thresholds, calibration 6 schedules x 3 seeds, at most 5")
    for distances in ((0.0, 3.0), (0.0, 0.0), (-1.0, 3.0), (1.0, 3.0), (1.0, 1.0), (2.0, 2.0)):
        for r in (-0.7, 0.0, 0.9):
            what = f"distances {distances}, metrics' correlation {r:+.1f}"
            print(_line(what, admissions(Scenario(distances, r), count, rng), count), flush=True)
    print("calibration of one schedule, three seeds (2 degrees of freedom)")
    for distances in ((0.0, 3.0), (1.0, 3.0), (2.0, 2.0)):
        least = Scenario(distances, schedules=1)
        rates = admissions(least, count, rng)
        print(_line(f"distances {distances}", rates, count), flush=True)
    print("champion: superior on the first metric, not worse by 1 s.d. on the second")
    leads = ((0.0, 2.0), (2.0, -1.0), (0.0, -1.0), (0.0, 0.0), (1.0, 0.0), (2.0, 0.0), (3.0, 1.0))
    for lead in leads:
        for rho in (0.0, 0.5, 0.8):
            what = f"lead {lead}, correlation by seed {rho:.1f}"
            rates = replacements(Scenario(lead, rho=rho), count, rng)
            print(_line(what, rates, count), flush=True)
    print("the same, worse on the second metric by exactly the calibrated deviation")
    for rho in (0.0, 0.5, 0.8):
        rates = replacements(Scenario((2.0, 0.0), rho=rho, at_margin=True), count, rng)
        print(_line(f"lead 2.0 on the first, correlation by seed {rho:.1f}", rates, count))


if __name__ == "__main__":
    main()
