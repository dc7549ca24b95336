"""What a search loses if its sampler is shown some of the trials, and what it saves.

    python -m benchmarks.shown_trials --trials 2000 --seeds 3

Simulated studies of :mod:`benchmarks.pruned_trials`: two metrics, eight dimensions, three in a
hundred random settings pass. Every trial runs to its end, or is pruned by the median rule after a
third. The sampler is TPE, as a study has it. It is shown

- ``all``: every trial;
- ``shown``: the best ones and the latest, see :class:`sweep.driving.sampling.drawing.Shown`.

Up to ``--most`` trials both are the same study. So the figures are of the trials after them: the
passing settings among them, the best objective of those that pass, and the mean objective. The last
column is the median processor time of an ask among the last hundred.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Sequence
from unittest.mock import patch

import click
import numpy as np
import optuna
from optuna.trial import FrozenTrial, TrialState

from benchmarks.pruned_trials import STARTUP, Task, made_up
from sweep.driving.sampling import drawing
from sweep.study.search.settings import Search
from uvtex.console import CleanErrorCommand


def search(task: Task, seed: int, trials: int, most: int) -> tuple[list[float], ...]:
    """The objective and the margin of each trial's best epoch, and the seconds of each ask."""
    with patch.object(drawing, "MOST_SHOWN", most):
        drawn = drawing.Drawing(Search(seed=seed, startup_trials=STARTUP), task.space)
        made: list[FrozenTrial] = []
        objectives: list[float] = []
        margins: list[float] = []
        seconds: list[float] = []
        early: list[float] = []
        for number in range(trials):
            began = time.process_time()
            trial, _ = drawn.draw(made, {})
            seconds.append(time.process_time() - began)
            _, slacks = task.run(dict(trial.params))
            lowest = slacks.min(1)
            looked = len(slacks) // 3
            here = float(lowest[:looked].max())
            stopped = number >= STARTUP and here < np.median(early)
            early.append(here)
            best = slacks[int(np.argmax(lowest))]
            objectives.append(float(best[0]))
            margins.append(float(lowest.max()))
            seen = slacks[:looked] if stopped else slacks
            trial.intermediate_values = {i: float(v) for i, v in enumerate(seen[:, 0], 1)}
            trial.set_constraint("other", -float(seen[int(np.argmax(seen.min(1)))][1]))
            trial.value = float(seen[-1][0]) if stopped else float(best[0])
            trial.state = TrialState.PRUNED if stopped else TrialState.COMPLETE
            made.append(trial)
    return objectives, margins, seconds


def figures(found: Sequence[list[float]], first: int) -> list[float]:
    """Passing settings, best passing objective, mean objective, milliseconds of a late ask."""
    objectives, margins, seconds = (np.array(values)[first:] for values in found)
    passing = margins >= 0
    best = float(objectives[passing].max()) if passing.any() else float("nan")
    late = 1000 * float(np.median(seconds[-100:]))
    return [int(passing.sum()), best, float(objectives.mean()), late]


@click.command(cls=CleanErrorCommand)
@click.option("--trials", type=click.IntRange(STARTUP + 1), default=2000)
@click.option("--most", type=click.IntRange(200), default=drawing.MOST_SHOWN)
@click.option("--seeds", type=click.IntRange(2), default=3, help="Simulated studies.")
def main(trials: int, most: int, seeds: int) -> None:
    """Search with a sampler that sees all trials, and with one that sees some of them.

    \b
    Example:
      python -m benchmarks.shown_trials --trials 2000 --seeds 3
    """
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.simplefilter("ignore")
    rows = []
    click.echo(f"trials {most} to {trials}")
    click.echo("| seed | way | passing | best passing objective | mean objective | ask, ms |")
    click.echo("| --- | --- | --- | --- | --- | --- |")
    for seed in range(seeds):
        row = []
        for way, limit in (("all", trials), ("shown", most)):
            row.append(figures(search(made_up(seed), seed, trials, limit), most))
            passing, best, mean, late = row[-1]
            click.echo(f"| {seed} | {way} | {passing} | {best:.4f} | {mean:.4f} | {late:.0f} |")
        rows.append(row)
    apart = np.array([np.subtract(shown, everything) for everything, shown in rows])
    errors = apart.std(axis=0, ddof=1) / np.sqrt(seeds)
    names = ("passing", "best passing objective", "mean objective")
    for name, mean, error in zip(names, apart.mean(axis=0), errors, strict=False):
        click.echo(f"shown less all, {name}: {mean:+.4f} (standard error {error:.4f})")


if __name__ == "__main__":
    main()
