"""Whether the common scale of the loss weights matters, beside their ratios, on recorded runs.

    python -m benchmarks.weight_scale FILE...

``search.normalise`` takes the scale out of a search. Each file has runs of schedules, in the format
of ``benchmarks/promotion/README.md``, with ``loss_weights`` and ``lr``. The best value of each
metric is predicted by ridge regression from

- ``ratios``: the weights' shares of their sum, at the start and at the end;
- ``ratios and scale``: the same, and the logarithms of both sums;
- ``weights``: the logarithms of the weights themselves;

each with the mean and the last learning rate, with and without products. The figure is the
explained share of the variance over schedules that the regression did not see (ten folds, ten
times; the best of five penalties for each).
"""

from __future__ import annotations

from itertools import combinations_with_replacement
from pathlib import Path

import click
import numpy as np
import numpy.typing as npt

from uvtex.console import PATH, CleanErrorCommand
from uvtex.errors import UvtexError

FOLDS = 10
REPEATS = 10
PENALTIES = (1.0, 3.0, 10.0, 30.0, 100.0)
SMALLEST = 1e-3
"""Added to weights before their logarithm."""
Array = npt.NDArray[np.float64]


def inputs(weights: Array, lr: Array) -> dict[str, Array]:
    """Name -> what the best value is predicted from.

    Args:
        weights: [N, P, W].
        lr: [N, P].
    """
    ends = weights[:, [0, -1]]  # [N, 2, W]
    sums = ends.sum(-1)
    rate = np.stack([lr.mean(1), lr[:, -1]], axis=1)
    ratios = (ends / sums[..., None]).reshape(len(weights), -1)
    return {
        "ratios": np.concatenate([ratios, rate], axis=1),
        "ratios and scale": np.concatenate([ratios, rate, np.log(sums)], axis=1),
        "weights": np.concatenate(
            [np.log(ends + SMALLEST).reshape(len(weights), -1), rate], axis=1
        ),
    }


def explained(x: Array, y: Array, products: bool) -> float:
    """Explained share of the variance of ``y`` [N] by ``x`` [N, D], out of sample."""
    if products:
        pairs = combinations_with_replacement(range(x.shape[1]), 2)
        x = np.concatenate([x, np.stack([x[:, a] * x[:, b] for a, b in pairs], axis=1)], axis=1)
    x = (x - x.mean(0)) / np.where(np.ptp(x, axis=0) > 0, x.std(0), 1)
    shares = []
    for penalty in PENALTIES:
        errors = 0.0
        for repeat in range(REPEATS):
            order = np.random.default_rng(repeat).permutation(len(y))
            for fold in range(FOLDS):
                test = order[fold::FOLDS]
                train = np.setdiff1d(order, test)
                mean, a = y[train].mean(), x[train]
                gram = a.T @ a + penalty * np.eye(x.shape[1])
                fit = np.linalg.solve(gram, a.T @ (y[train] - mean))
                errors += float(((y[test] - mean - x[test] @ fit) ** 2).sum())
        shares.append(1 - errors / REPEATS / float(((y - y.mean()) ** 2).sum()))
    return max(shares)


@click.command(cls=CleanErrorCommand)
@click.argument("files", type=PATH, nargs=-1, required=True)
def main(files: tuple[Path, ...]) -> None:
    """Ask recorded runs whether the scale of the loss weights matters.

    \b
    Example:
      python -m benchmarks.weight_scale full.npz
    """
    for path in files:
        with np.load(path) as file:
            if "loss_weights" not in file.files or "lr" not in file.files:
                raise UvtexError(f"{path} has no loss_weights and lr; see benchmarks/promotion")
            arrays = {name: file[name] for name in file.files}
        curves = np.where(arrays["higher_is_better"], arrays["curves"], -arrays["curves"])
        best = curves.astype(np.float64).max(1)
        _, first = np.unique(arrays["config"], return_index=True)  # one seed of each schedule
        rows = first[np.isfinite(best[first]).all(1)]
        predictors = inputs(arrays["loss_weights"][rows].astype(np.float64), arrays["lr"][rows])
        print(f"{path.name}: {len(rows)} schedules")
        for column, metric in enumerate(arrays["metrics"]):
            print(f"  {metric}: explained variance, linear and with products")
            for name, x in predictors.items():
                found = [explained(x, best[rows, column], products) for products in (False, True)]
                print(f"    {name:17} {found[0]:5.2f} {found[1]:5.2f}")


if __name__ == "__main__":
    main()
