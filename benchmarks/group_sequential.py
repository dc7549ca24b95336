"""Makes the table of :mod:`sweep.decisions.group_sequential`, and checks it by simulation.

``python -m benchmarks.group_sequential`` prints the table as code. ``--check N`` prints the error
rate of each entry over N simulated tests instead.
"""

from __future__ import annotations

import argparse
import math

import numpy as np
from scipy import optimize, stats

from sweep.decisions.group_sequential import ERROR, MOST, TABLE, critical, crossing

DEGREES = (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 15, 20, 30, 60, math.inf)
NODES = 100


def constant(most: int, degrees: float) -> float:
    """C by quadrature, rounded up to four decimals."""
    if most == 1:
        exact = float(
            stats.norm.ppf(1 - ERROR) if math.isinf(degrees) else stats.t.ppf(0.95, degrees)
        )
    else:
        exact = optimize.brentq(
            lambda c: crossing(c, most, degrees, nodes=NODES) - ERROR, 1, 15, xtol=1e-6
        )
    return math.ceil(exact * 1e4) / 1e4


def error_rate(most: int, degrees: float, tests: int, rng: np.random.Generator) -> float:
    """Share of ``tests`` under the null in which T_k reaches c_k at some look."""
    walk = rng.standard_normal((tests, most)).cumsum(axis=1)
    spread = 1.0 if math.isinf(degrees) else np.sqrt(rng.chisquare(degrees, tests) / degrees)
    looks = np.arange(1, most + 1)
    bounds = np.array([critical(k, most, degrees) for k in looks])
    statistic = walk / np.sqrt(looks) / np.reshape(spread, (-1, 1))
    return float((statistic >= bounds).any(axis=1).mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", type=int, metavar="N", help="simulate N tests for each entry")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    if not arguments.check:
        for degrees in DEGREES:
            row = ", ".join(f"{constant(most, degrees):.4f}" for most in range(1, MOST + 1))
            print(f"    {'math.inf' if math.isinf(degrees) else degrees}: ({row}),")
        return
    rng = np.random.default_rng(arguments.seed)
    rates = {
        (most, degrees): error_rate(most, degrees, arguments.check, rng)
        for degrees in (*TABLE, 11, 17, 40, 200)  # the last four lie between rows
        for most in range(1, MOST + 1)
    }
    noise = math.sqrt(ERROR * (1 - ERROR) / arguments.check)
    print(f"{arguments.check} tests an entry, one standard error {100 * noise:.3f} %, in percent:")
    for degrees in sorted({degrees for _, degrees in rates}):
        row = [f"{100 * rates[most, degrees]:.2f}" for most in range(1, MOST + 1)]
        print(f"nu {degrees:>5g}: {' '.join(row)}")
    worst = max(rates, key=lambda entry: rates[entry])
    print(f"largest: {100 * rates[worst]:.3f} % at K = {worst[0]}, nu = {worst[1]:g}")


if __name__ == "__main__":
    main()
