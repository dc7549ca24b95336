"""Error rates and power of the admission of schedules and of the champion's comparison.

``python -m benchmarks.replicates`` simulates calibrations, replicates and decisions with the very
functions that decide. A metric's figure is its true mean, plus a part of the seed that all
schedules share (``rho``), plus a part of its own. Two metrics are correlated over seeds.
"""

from __future__ import annotations

import argparse
import itertools
import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sweep.decisions.calibration import calibrate
from sweep.decisions.champion import Contender, compare
from sweep.decisions.replicates import Replicate, judge
from sweep.study.calibration import Calibration, RunFigures
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


@dataclass(frozen=True)
class Rates:
    """What became of the simulated candidates."""

    admitted: float
    mean_replicates: float


class Seeds:
    """Draws figures: the part of a seed that schedules share is drawn once."""

    def __init__(self, scenario: Scenario, rng: np.random.Generator) -> None:
        self._scenario, self._rng = scenario, rng
        r = scenario.correlation
        self._mix = np.array([[1.0, 0.0], [r, math.sqrt(1 - r * r)]])
        self._shared: dict[int, Array] = {}

    def figures(self, means: tuple[float, float], seed: int) -> dict[str, float]:
        """The metrics of one run."""
        if seed not in self._shared:
            self._shared[seed] = self._mix @ self._rng.standard_normal(2)
        own = self._mix @ self._rng.standard_normal(2)
        rho = self._scenario.rho
        noise = math.sqrt(rho) * self._shared[seed] + math.sqrt(1 - rho) * own
        return {m: mean + float(e) for m, mean, e in zip(METRICS, means, noise, strict=True)}


def calibration_of(scenario: Scenario, rng: np.random.Generator) -> Calibration:
    """A calibration under the scenario's truth, with schedules of differing means."""
    seeds = Seeds(scenario, rng)
    runs = [
        RunFigures(
            schedule=f"schedule-{i}",
            seed=seed,
            stage="full",
            metrics=seeds.figures((float(i), float(-i)), seed),
            seconds=1,
            epochs=1,
        )
        for i, seed in itertools.product(range(scenario.schedules), range(scenario.seeds))
    ]
    return calibrate(runs, METRICS)


def admissions(scenario: Scenario, count: int, rng: np.random.Generator) -> Rates:
    """``count`` candidates, each with a calibration of its own, judged after each replicate."""
    admitted, spent = 0, 0
    for _ in range(count):
        spreads = calibration_of(scenario, rng).spreads("full")
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
        noise = calibration_of(scenario, rng).stages["full"].noise
        seeds = Seeds(scenario, rng)
        ours: dict[int, dict[str, float]] = {}
        theirs: dict[int, dict[str, float]] = {}
        verdict = "continue"
        while verdict == "continue":
            seed = len(ours) + 1
            ours[seed] = seeds.figures(scenario.distances, seed)
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


if __name__ == "__main__":
    main()
