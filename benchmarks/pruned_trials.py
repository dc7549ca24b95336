"""What a sampler should be told of a pruned trial: simulated studies, told in several ways.

    python -m benchmarks.pruned_trials --sampler tpe --seeds 30
    python -m benchmarks.pruned_trials --sampler tpe --seeds 30 --curves FOLDER

A trial is pruned after a third of its run if its margin is below the median of the earlier trials'
margins at that point. The sampler is told of it

- ``pruned``: the state PRUNED, its objective in each epoch, and its constraints;
- ``nothing``: the state FAIL;
- ``value``: the state COMPLETE with the best epoch so far;
- ``whole``: the state COMPLETE with the best epoch of the whole run, as a perfect forecast has it.

The figure is the number of passing settings among the sampler's suggestions, pruned or not. It
judges the sampler alone: which good trials the pruner loses is another question. Without
``--curves`` the runs come from formulas in eight dimensions. With it they are recorded runs of
TaskSet (files ``taskset_*.npz`` in the format of ``benchmarks/promotion/README.md``): the nearest
recorded settings that were not tried yet stand for a suggestion.
"""

from __future__ import annotations

import json
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import get_args

import click
import numpy as np
import numpy.typing as npt
import optuna
from optuna.distributions import FloatDistribution
from optuna.trial import TrialState, create_trial

from benchmarks.promotion.task import load
from sweep.driving.sampling.samplers import sampler
from sweep.study.search.settings import SamplerName
from uvtex.console import PATH, CleanErrorCommand

TOLD = ("pruned", "nothing", "value", "whole")
STARTUP = 10
DIMENSIONS = 8
EPOCHS = 20
NOISE = 0.01
Array = npt.NDArray[np.float64]


@dataclass
class Task:
    """Runs with a joint threshold."""

    name: str
    space: dict[str, FloatDistribution]
    run: Callable[[dict[str, float]], tuple[dict[str, float], Array]]
    """Suggestion -> the settings that were run, and the slacks [P, 2] of their epochs."""


@dataclass
class Tally:
    """What a simulated study did."""

    passing: int = 0
    pruned: int = 0
    margins: list[float] = field(default_factory=list)
    """Margin of each earlier trial at the point where trials are pruned."""


def made_up(seed: int) -> Task:
    """A task from formulas: two metrics whose optima lie apart, and slow runs that end better.

    Three in a hundred random settings pass.
    """
    random = np.random.default_rng([seed, 1])
    best = random.uniform(0.2, 0.8, (2, DIMENSIONS))
    best[1] = best[0] + random.normal(0, 0.1, DIMENSIONS)
    sizes = random.dirichlet(np.ones(DIMENSIONS), 2)

    def values(x: Array) -> Array:  # [..., D] -> [..., 2]
        return 1 - ((x[..., None, :] - best) ** 2 * sizes).sum(-1) * 4

    drawn = values(random.uniform(0, 1, (20_000, DIMENSIONS)))
    bounds = _bounds(drawn, 0.03)
    part = np.arange(1, EPOCHS + 1) / EPOCHS

    def run(params: dict[str, float]) -> tuple[dict[str, float], Array]:
        x = np.array([params[f"x{i}"] for i in range(DIMENSIONS)])
        slowness = 0.1 + 0.3 * x[0]
        rise = (1 - np.exp(-part / slowness)) / (1 - np.exp(-1 / slowness))
        noise = random.normal(0, NOISE, (EPOCHS, 2))
        return params, values(x) * rise[:, None] + noise - bounds

    space = {f"x{i}": FloatDistribution(0, 1) for i in range(DIMENSIONS)}
    return Task("made-up", space, run)


def _bounds(drawn: Array, rate: float) -> Array:
    """The same quantile of both metrics, such that the share ``rate`` passes both."""
    levels = np.linspace(0.5, 0.999, 200)
    shares = [(drawn >= np.quantile(drawn, q, axis=0)).all(1).mean() for q in levels]
    level = levels[int(np.argmin(np.abs(np.array(shares) - rate)))]
    return np.asarray(np.quantile(drawn, level, axis=0))


def recorded(path: Path) -> Task:
    """A task of recorded runs, of which one in ten passes. Each is used once."""
    task = load(path, 0.1)
    with np.load(path) as file:
        settings = [json.loads(str(text)) for text in file["settings"]]
    space = {
        name: FloatDistribution(min(values), max(values), log=True)
        for name in settings[0]
        if len(set(values := [one[name] for one in settings])) > 1
    }
    logs = np.log([[one[name] for name in space] for one in settings])
    low, size = logs.min(0), np.ptp(logs, axis=0)
    left = np.ones(len(settings), bool)

    def run(params: dict[str, float]) -> tuple[dict[str, float], Array]:
        at = (np.log([params[name] for name in space]) - low) / size
        far = np.where(left, ((((logs - low) / size) - at) ** 2).sum(1), np.inf)
        nearest = int(np.argmin(far))
        left[nearest] = False
        return {name: settings[nearest][name] for name in space}, task.slacks[nearest]

    return Task(path.stem, space, run)


def study(task: Task, told: str, name: SamplerName, seed: int, trials: int) -> Tally:
    """One simulated study."""
    optuna_study = optuna.create_study(direction="maximize")
    tally = Tally()
    for number in range(trials):
        optuna_study.sampler = sampler(name, seed, STARTUP, number)
        trial = optuna_study.ask(fixed_distributions=dict(task.space))
        params, slacks = task.run(dict(trial.params))
        margins = np.where(np.isfinite(slacks).all(1), slacks.min(1), -np.inf)
        tally.passing += bool(margins.max() >= 0)
        looked = len(margins) // 3
        here = float(margins[:looked].max())
        stop = number >= STARTUP and here < np.median(tally.margins)
        tally.margins.append(here)
        tally.pruned += stop
        seen = slice(looked if stop and told != "whole" else None)
        _tell(optuna_study, trial, params == trial.params, params, slacks[seen], stop, told, task)
    return tally


def _tell(
    optuna_study: optuna.Study,
    trial: optuna.Trial,
    exact: bool,
    params: dict[str, float],
    slacks: Array,
    stop: bool,
    told: str,
    task: Task,
) -> None:
    margins = np.where(np.isfinite(slacks).all(1), slacks.min(1), -np.inf)
    best = slacks[int(np.argmax(margins))]
    if not np.isfinite(best).all() or (stop and told == "nothing"):
        optuna_study.tell(trial, state=TrialState.FAIL)
        return
    state = TrialState.PRUNED if stop and told == "pruned" else TrialState.COMPLETE
    curve = {i: float(v) for i, v in enumerate(slacks[:, 0], 1) if np.isfinite(v)}
    if exact:
        for step, value in curve.items():
            trial.report(value, step)
        trial.set_constraint("other", -best[1])
        value = None if state == TrialState.PRUNED else float(best[0])
        optuna_study.tell(trial, value, state=state)
        return
    optuna_study.tell(trial, state=TrialState.FAIL)
    optuna_study.add_trial(
        create_trial(
            state=state,
            value=float(best[0]) if state == TrialState.COMPLETE else None,
            params=params,
            distributions=dict(task.space),
            intermediate_values=curve,
            constraints={"other": -float(best[1])},
        )
    )


@click.command(cls=CleanErrorCommand)
@click.option("--sampler", "name", type=click.Choice(get_args(SamplerName)), default="tpe")
@click.option("--seeds", type=click.IntRange(2), default=30, help="Simulated studies.")
@click.option("--trials", type=click.IntRange(STARTUP + 1), default=40, help="Trials of a study.")
@click.option("--curves", type=PATH, help="Folder of recorded runs.")
def main(name: SamplerName, seeds: int, trials: int, curves: Path | None) -> None:
    """Count the passing suggestions of a sampler that is told of pruned trials in several ways.

    \b
    Example:
      python -m benchmarks.pruned_trials --sampler tpe --seeds 30
    """
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.simplefilter("ignore")
    files = sorted(curves.glob("taskset_*.npz")) if curves else [None]
    if not files:
        print(f"{curves}: no taskset_*.npz here", file=sys.stderr)
        sys.exit(2)
    for file in files:
        counts: dict[str, list[int]] = {told: [] for told in TOLD}
        pruned = []
        for seed in range(seeds):
            for told in TOLD:
                task = recorded(file) if file else made_up(seed)
                tally = study(task, told, name, seed, trials)
                counts[told].append(tally.passing)
                pruned.append(tally.pruned)
        print(f"{task.name}, {name}: {trials} trials, {np.mean(pruned):.0f} of them pruned")
        for told, found in counts.items():
            apart = np.array(found) - counts["pruned"]
            print(
                f"  {told:8} passing {np.mean(found):5.2f}, to `pruned` {np.mean(apart):+5.2f} "
                f"(standard error {np.std(apart, ddof=1) / np.sqrt(seeds):.2f})",
                flush=True,
            )


if __name__ == "__main__":
    main()
