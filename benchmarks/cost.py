"""How often the interval of the cost's forecast covers what simulated studies then cost.

``python -m benchmarks.cost`` draws the truth of each study anew: the pass rate from Beta(1/2, 9/2),
the share of an epoch's plan that pruned probes run, the load of the machine. So it checks the
arithmetic, and how wide the interval is under its own assumptions. It cannot check these.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass

import numpy as np

from sweep.decisions.cost import PRIOR, UNKNOWN_SPEED, Ahead, Seen, forecast_cost

PROBES, PROBE_EPOCHS, FULL_EPOCHS, MOST = 60, 20, 40, 5


@dataclass(frozen=True)
class Coverage:
    """Of the 90 % interval of the device-hours."""

    covered: float
    width: float
    """Mean of (high - low) / median."""


def coverage(studies: int, rng: np.random.Generator, done: int = 0, draws: int = 1000) -> Coverage:
    """Over ``studies`` studies, asked after ``done`` of their probes."""
    hits, width = 0, 0.0
    for _ in range(studies):
        rate = rng.beta(*PRIOR)
        speed = rng.lognormal(0.0, 0.5)
        measured = speed * rng.lognormal(0.0, 0.1, 64)
        passed = rng.random(PROBES) < rate
        share = np.where(passed | (np.arange(PROBES) < 20), 1.0, rng.uniform(0.35, 1.0, PROBES))
        full_runs = rng.integers(2, MOST + 1, PROBES) * passed
        load = rng.lognormal(0.0, UNKNOWN_SPEED)
        rest = slice(done, None)
        epochs = share[rest].sum() * PROBE_EPOCHS + full_runs[rest].sum() * FULL_EPOCHS
        truth = load * speed * epochs * np.exp(0.1**2 / 2) / 3600
        seen = Seen(
            epoch_seconds=list(measured),
            shares=list(share[:done]),
            probes=done,
            passes=int(passed[:done].sum()),
            replicates=[int(n) for n in full_runs[:done] if n],
        )
        ahead = Ahead(PROBES - done, PROBE_EPOCHS, FULL_EPOCHS, MOST, devices=1)
        found = forecast_cost(ahead, seen, rng, draws).device_hours
        hits += found.low <= truth <= found.high
        width += (found.high - found.low) / found.median
    return Coverage(hits / studies, width / studies)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--studies", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    rng = np.random.default_rng(arguments.seed)
    for done in (0, 20, 40):
        found = coverage(arguments.studies, rng, done)
        print(
            f"after {done} of {PROBES} probes: covers {found.covered:.1%}, "
            f"width {found.width:.2f} of the median",
            flush=True,
        )


if __name__ == "__main__":
    main()
