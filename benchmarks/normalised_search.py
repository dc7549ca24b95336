"""Whether a search finds better schedules when the weights of the losses are divided by their sum.

    python -m benchmarks.normalised_search STUDY_FILE --searches 6 --trials 30 --append RESULTS

Each search asks Optuna, with the study's sampler and space, for probes, and trains them for real,
all under the study's seed. With and without ``search.normalise`` it begins with the same random
numbers, so the two are compared in pairs. Nothing is pruned, no schedule is queued. The figure is
the highest SSIM(UV) on validation liveries that a search has found after a number of trials.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
import warnings
from pathlib import Path

import click
import numpy as np
import optuna
from scipy import stats

from sweep.driving.data_set import build_data
from sweep.driving.sampling.samplers import sampler
from sweep.study.config import BASELINE, OBJECTIVE, StudyConfig
from sweep.study.file import load
from sweep.study.search import space
from sweep.study.search.distributions import distributions
from uvtex.config import TrainConfig
from uvtex.console import PATH, CleanErrorCommand
from uvtex.data.store import PairStore
from uvtex.errors import DivergenceError
from uvtex.training.trainer import Trainer

SHOWN = (10, 20, 30)
"""Numbers of trials after which the best value is printed."""


def search(study: StudyConfig, store: PairStore, seed: int, trials: int) -> list[float]:
    """The value of each trial of one search."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    asked, values = optuna.create_study(direction="maximize"), []
    for number in range(trials):
        asked.sampler = sampler(study.search.sampler, seed, study.search.startup_trials, number)
        trial = asked.ask(distributions(study.search))
        values.append(trained(space.train_config(study, "probe", trial.params), store))
        asked.tell(trial, values[-1])
    return values


def trained(config: TrainConfig, store: PairStore) -> float:
    """The highest value of the objective over the epochs of a run; 0 if it diverges at once."""
    folder = Path(tempfile.mkdtemp())
    found = [0.0]
    try:
        for report in Trainer(config, store, folder / "run").epochs():
            found.append(report.val[OBJECTIVE])
    except DivergenceError:
        pass
    finally:
        shutil.rmtree(folder)
    return max(found)


@click.command(cls=CleanErrorCommand, help=__doc__)
@click.argument("study_file", type=PATH)
@click.option("--searches", default=6, type=click.IntRange(1), help="Pairs of searches.")
@click.option("--trials", default=30, type=click.IntRange(1), help="Trials of a search.")
@click.option("--append", "results", required=True, type=PATH, help="File of results, a line each.")
def main(study_file: Path, searches: int, trials: int, results: Path) -> None:
    warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
    study = load(study_file)
    build_data(study, sys.stdout)
    baseline = study.search.schedule(study.named_schedules[BASELINE], 1)
    store = PairStore.open(study.data.path, study.train_config("probe", baseline))
    lines = results.read_text().splitlines() if results.is_file() else []
    done = [json.loads(line) for line in lines]
    for seed in range(searches):
        for normalise in (False, True):
            if any((one["seed"], one["normalise"]) == (seed, normalise) for one in done):
                continue
            asked = study.search.model_copy(update={"normalise": normalise})
            own = study.model_copy(update={"search": asked})
            values = search(own, store, seed, trials)
            done.append({"seed": seed, "normalise": normalise, "values": values})
            with results.open("a") as file:
                file.write(json.dumps(done[-1]) + "\n")
            click.echo(f"search {seed}, normalise {normalise}: best {max(values):.4f}")
    report(done)


def report(done: list[dict[str, object]]) -> None:
    """Prints the best values after :data:`SHOWN` trials, and the difference in pairs.

    In brackets the 95 % interval of Student's t over pairs. A search without its pair is left out.
    """
    best = {
        normalise: np.array(
            [np.maximum.accumulate(one["values"]) for one in done if one["normalise"] is normalise]
        )
        for normalise in (False, True)
    }
    pairs = min(map(len, best.values()))
    for count in (c for c in SHOWN if c <= best[False].shape[1]):
        plain, scaled = (best[n][:pairs, count - 1] for n in (False, True))
        difference = scaled - plain
        error = difference.std(ddof=1) / np.sqrt(pairs) if pairs > 1 else np.nan
        low, high = stats.t.interval(0.95, pairs - 1, difference.mean(), error)
        click.echo(
            f"after {count} trials, {pairs} pairs: plain {plain.mean():.4f}, normalised "
            f"{scaled.mean():.4f}, difference {difference.mean():+.4f} ({low:+.4f} to {high:+.4f})"
        )


if __name__ == "__main__":
    main()
