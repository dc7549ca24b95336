"""What a decision of ``PromotionPruner`` costs, beside Optuna's median and patient pruners.

``python -m benchmarks.pruner`` times it in a study in memory, so that no storage is read. Ours
decides in ``report``, at a look. *first look* is the first of a process, which reads all finished
trials; *learnt anew* is one after another trial has ended; at *known* nothing is new; *no look* are
the other epochs, as most are. Optuna's pruners decide whenever ``should_prune`` is called. Times
are of the processor, so that other load matters less.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable

import numpy as np
import optuna
from optuna.pruners import BasePruner, MedianPruner, PatientPruner

from sweep.decisions.stopping.curves import LOOKS, epochs_seen
from sweep.optuna_pruner import PromotionPruner, report
from uvtex.thresholds import Threshold

Times = dict[str, list[float]]
"""Kind of decision -> milliseconds of CPU of each."""


def study_of(pruner: BasePruner) -> optuna.Study:
    sampler = optuna.samplers.RandomSampler(seed=0)
    return optuna.create_study(direction="maximize", pruner=pruner, sampler=sampler)


def accuracies(epochs: int, number: int) -> list[float]:
    """A trial's accuracy by epoch. It saturates between 0.2 and 1, so about a third pass."""
    rng = np.random.default_rng(number)
    end, epoch = rng.uniform(0.2, 1.0), np.arange(1, epochs + 1)
    return list(end * (1 - np.exp(-5 * epoch / epochs)) + rng.normal(0, 0.01, epochs))


def ours(finished: int, epochs: int, repeats: int) -> Times:
    """Our pruner. The risk is so small that it flags nothing: all looks of all trials are made."""
    thresholds = [
        Threshold(metric="accuracy", at_least=0.7),
        Threshold(metric="loss", at_most=0.3),
    ]
    looks = [epochs_seen(look, epochs) for look in range(len(LOOKS))]
    study = study_of(PromotionPruner(thresholds, epochs, risk=1e-9))
    times: Times = {"first look": [], "learnt anew": [], "known": [], "no look": []}
    for number in range(finished + repeats):
        if number == finished:
            study.pruner = PromotionPruner(thresholds, epochs, risk=1e-9)
        trial = study.ask({"x": optuna.distributions.FloatDistribution(0, 1)})
        for epoch, accuracy in enumerate(accuracies(epochs, number), start=1):
            metrics = {"accuracy": accuracy, "loss": 1 - accuracy}
            took = milliseconds(lambda m=metrics, e=epoch, t=trial: report(t, m, e))
            kind = "learnt anew" if epoch == looks[0] else "known" if epoch in looks else "no look"
            if number == finished and epoch == looks[0]:
                kind = "first look"
            if number >= finished:
                times[kind].append(took)
        study.tell(trial, 0.0)
    return times


def theirs(name: str, pruner: BasePruner, finished: int, epochs: int, repeats: int) -> Times:
    """A pruner of Optuna, asked at every epoch; its answer is not followed."""
    study = study_of(pruner)
    times: Times = {name: []}
    for number in range(finished + repeats):
        trial = study.ask({"x": optuna.distributions.FloatDistribution(0, 1)})
        for epoch, accuracy in enumerate(accuracies(epochs, number), start=1):
            trial.report(accuracy, epoch)
            if number >= finished:
                times[name].append(milliseconds(trial.should_prune))
        study.tell(trial, 0.0)
    return times


def milliseconds(question: Callable[[], object]) -> float:
    began = time.thread_time()
    question()
    return 1000 * (time.thread_time() - began)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--finished", type=int, default=200, help="finished trials")
    parser.add_argument("--epochs", type=int, default=40, help="epochs of a trial")
    parser.add_argument("--repeats", type=int, default=20, help="trials that are timed")
    arguments = parser.parse_args()
    sizes = arguments.finished, arguments.epochs, arguments.repeats
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
    median = theirs("median", MedianPruner(), *sizes)
    patient = theirs("patient", PatientPruner(MedianPruner(), patience=4), *sizes)
    usual = float(np.median(median["median"]))
    print(f"{sizes[0]} finished trials of {sizes[1]} epochs; milliseconds of CPU a decision")
    for kind, times in {**ours(*sizes), **median, **patient}.items():
        middle, high = np.quantile(times, [0.5, 0.9])
        print(
            f"{kind}: median {middle:.2f}, 90 % within {high:.2f}, "
            f"{middle / usual:.1f} times the median pruner's, {len(times)} decisions",
            flush=True,
        )


if __name__ == "__main__":
    main()
