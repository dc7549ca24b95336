"""What could be saved if a forecast's best cut were known beforehand: a bound for rules that learn.

    python -m benchmarks.promotion.hindsight FILE... --pass-rate 0.1 --pass-rate 0.3

A forecast is learnt from some configurations of a file and judges all others. Then one cut is
chosen with their ends known: of all cuts that lose at most ``risk`` of the good runs, the one that
saves the most. A real rule must choose without knowing, and from fewer runs. So where even this
saves less than half of what the oracle saves, the curves do not tell more, or these forecasts do
not read it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path

import click
import numpy as np

from benchmarks.promotion.policies.ours import LEAST, curves
from benchmarks.promotion.policies.rules import FIRST_LOOK
from benchmarks.promotion.task import PASS_RATE, Array, Task, load
from sweep.decisions.stopping.curves import LOOKS, epochs_seen, features, scaled, spread
from sweep.decisions.stopping.outlook import Finished, fit
from uvtex.console import CleanErrorCommand
from uvtex.errors import DataError
from uvtex.output import echo

Chances = Callable[[Sequence[int], int, int], Array]
"""P(pass) of rows at a look after so many points."""

Division = tuple[list[int], list[int]]
"""Rows to learn from, and rows to judge."""


def ours(task: Task, known: Sequence[int]) -> Chances:
    """The product's forecast."""
    model = fit(Finished(curves(task, list(known)), np.ones(len(known))))
    if model is None:
        raise DataError(f"{task.name}: no forecast can be fitted; raise --known")
    return lambda rows, look, seen: model.chance(curves(task, list(rows), seen), look, seen)


def classifier(make: Callable[[], object], task: Task, known: Sequence[int]) -> Chances:
    """A classifier of scikit-learn's on our features and every point of the curve so far."""
    spreads = spread(task.slacks[list(known)])

    def read(rows: Sequence[int], seen: int) -> Array:
        part = curves(task, list(rows), seen)
        points = scaled(part.slacks, spreads, squash=False).reshape(len(rows), -1)
        told = features(part, seen, spreads, squash=False, schedule=True)
        return np.nan_to_num(np.concatenate([told, points], axis=1))

    def chances(rows: Sequence[int], look: int, seen: int) -> Array:
        model = make().fit(read(known, seen), task.passes[list(known)])  # type: ignore[attr-defined]
        out: Array = model.predict_proba(read(rows, seen))[:, 1]
        return out

    return chances


def _logistic() -> object:
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(StandardScaler(), LogisticRegression(C=1 / 3, max_iter=1000))


def _trees() -> object:
    from sklearn.ensemble import ExtraTreesClassifier

    return ExtraTreesClassifier(300, min_samples_leaf=2, random_state=0)


FORECASTS: dict[str, Callable[[Task, Sequence[int]], Chances]] = {
    "ours": ours,
    "logistic": lambda task, known: classifier(_logistic, task, known),
    "trees": lambda task, known: classifier(_trees, task, known),
}


def best_cut(task: Task, rows: Sequence[int], chances: Chances, risk: float) -> float:
    """The share of the oracle's saving over ``rows`` that the best cut reaches.

    It loses at most ``risk`` of the good runs. A cut is a chance over the share of the run that is
    still to come; a run is stopped at its first look below it, unless it has passed.
    """
    rows, points = list(rows), task.points
    looks = [(look, epochs_seen(look, points, LEAST)) for look in range(len(LOOKS))]
    made = [(look, seen) for look, seen in looks if seen is not None]
    left = np.array([points - seen for _, seen in made])
    prices = np.stack([chances(rows, look, seen) for look, seen in made]) / left[:, None]
    for row, (_, seen) in zip(prices, made, strict=True):
        row[task.joint[rows, :seen].max(axis=1) >= 0] = np.inf
    good = task.passes[rows]
    possible = (~good).sum() * (points - math.ceil(FIRST_LOOK * points))
    most = 0.0
    for cut in np.unique(prices[np.isfinite(prices)]):
        stopped = prices <= cut
        if (stopped.any(axis=0) & good).sum() <= risk * good.sum():
            most = max(most, np.where(stopped.any(axis=0), left[stopped.argmax(axis=0)], 0).sum())
    return float(most / possible)


def draws(task: Task, known: int, seed: int, count: int) -> list[Division]:
    """Rows to learn from, one a configuration, and the rows of all other configurations."""
    out = []
    for number in range(count):
        random = np.random.default_rng([seed, number])
        chosen = random.permutation(np.unique(task.config))[:known]
        one = [int(random.choice(np.flatnonzero(task.config == config))) for config in chosen]
        out.append((one, [int(row) for row in np.flatnonzero(~np.isin(task.config, chosen))]))
    return [
        (one, rest)
        for one, rest in out
        if 2 <= task.passes[one].sum() < len(one) and not task.passes[rest].all()
    ]


def _divided(path: Path, task: Task, known: int, seed: int, count: int) -> list[Division]:
    """:func:`draws` of a file, which must be enough for a mean and its error."""
    configs = len(np.unique(task.config))
    if configs <= known:
        raise DataError(
            f"{path}: has {configs} configurations, so that --known {known} leaves none to judge; "
            "lower --known"
        )
    if all(epochs_seen(look, task.points, LEAST) is None for look in range(len(LOOKS))):
        raise DataError(f"{path}: runs of {task.points} points are too short for a look")
    divided = draws(task, known, seed, count)
    if len(divided) < 2:
        raise DataError(
            f"{path}: in {len(divided)} of {count} draws the {known} known runs have two that pass "
            "and one that fails, and one of the others fails; two such draws are needed: raise "
            "--draws or --pass-rate, or change --known"
        )
    return divided


@click.command(cls=CleanErrorCommand)
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True))
@click.option("--pass-rate", "rates", multiple=True, default=[0.1, 0.3], type=PASS_RATE)
@click.option("--known", default=120, type=click.IntRange(12), help="Configurations learnt from.")
@click.option("--draws", "count", default=40, type=click.IntRange(2), help="Random divisions.")
@click.option("--risk", default=0.05, type=click.FloatRange(0, 1))
@click.option("--seed", default=0, type=click.IntRange(0))
def main(
    files: tuple[Path, ...],
    rates: tuple[float, ...],
    known: int,
    count: int,
    risk: float,
    seed: int,
) -> None:
    """Prints the oracle's saving reached by the best cut, with two standard errors over draws."""
    for path in files:
        for rate in rates:
            task = load(path, rate)
            divided = _divided(path, task, known, seed, count)
            told = []
            for name, make in FORECASTS.items():
                reached = [best_cut(task, rest, make(task, one), risk) for one, rest in divided]
                error = 2 * np.std(reached, ddof=1) / np.sqrt(len(reached))
                told.append(f"{name} {np.mean(reached):.0%} (+- {error:.0%})")
            echo(f"{path.stem} {rate:.0%}, {len(divided)} draws: {', '.join(told)}")


if __name__ == "__main__":
    main()
