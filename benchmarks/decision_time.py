"""The time of one decision of the pruner, over that of Optuna's median pruner in the same run.

``python -m benchmarks.decision_time`` makes up studies of saturating curves, and asks both pruners
about one more probe after half of its epochs. Ours reads all finished probes and fits its forecast
anew, as it does at the first look after a probe has ended. Optuna's study is in memory.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import optuna

from sweep.decisions.stopping.outlook import fit
from sweep.decisions.stopping.rule import Run, history, judge_run

EPOCHS, REPEATS = 20, 15
LOOK = (1, 10)
"""The second look: half of the run."""


def probe(number: int, rng: np.random.Generator) -> Run:
    """Two metrics; about a quarter of such probes pass."""
    shape = 1 - np.exp(-np.arange(1, EPOCHS + 1) / 4)
    first = -1 + rng.normal(0.7, 0.4) * shape + rng.normal(0, 0.02, EPOCHS)
    return Run(
        settings=number,
        slacks={epoch + 1: [first[epoch], 2 * first[epoch]] for epoch in range(EPOCHS)},
        lr=np.linspace(1, 0, EPOCHS),
        loss_weights=rng.random((EPOCHS, 4)),
    )


def ours(runs: list[Run], new: Run) -> Callable[[], object]:
    """A decision of ours after ``runs``."""
    ended = [replace(run, state="ended") for run in runs]

    def decide() -> object:
        past = history(ended, EPOCHS, risk=0.05)
        outlook = fit(past.finished) if past.finished is not None else None
        return judge_run(past, outlook, new, EPOCHS, LOOK, audit_coin=0.5)

    return decide


def median_pruner(runs: list[Run], new: Run) -> Callable[[], object]:
    """A decision of Optuna's median pruner after ``runs``."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(direction="maximize", pruner=optuna.pruners.MedianPruner())
    for run in runs:
        values = {epoch: min(slacks) for epoch, slacks in run.slacks.items()}
        study.add_trial(optuna.trial.create_trial(value=values[EPOCHS], intermediate_values=values))
    trial = study.ask()
    for epoch in range(1, LOOK[1] + 1):
        trial.report(min(new.slacks[epoch]), epoch)
    return trial.should_prune


def milliseconds(decide: Callable[[], object]) -> float:
    """The median of ``REPEATS`` decisions."""
    times = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        decide()
        times.append(1000 * (time.perf_counter() - began))
    return statistics.median(times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--probes", type=int, nargs="+", default=[30, 200, 1000])
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    rng = np.random.default_rng(args.seed)
    print("finished probes   ours, ms   median pruner, ms   ratio")
    for count in args.probes:
        runs, new = [probe(number, rng) for number in range(count)], probe(-1, rng)
        mine, theirs = milliseconds(ours(runs, new)), milliseconds(median_pruner(runs, new))
        print(f"{count:15d}   {mine:8.2f}   {theirs:17.2f}   {mine / theirs:5.1f}")


if __name__ == "__main__":
    main()
