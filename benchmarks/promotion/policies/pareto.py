"""The median of Pareto ranks: what OptunaHub's ``multi_metric_pruner`` does.

Written anew from its documentation (``joint=True`` over ``MedianPruner()``): OptunaHub fetches its
packages from GitHub when a program runs, which a test machine without network cannot.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field

import numpy as np

from benchmarks.promotion.replay import Fate, Judge, Trial
from benchmarks.promotion.task import Array, Task

STARTUP = 5
"""Trials run to their end first; the default of Optuna's median pruner."""


@dataclass(frozen=True)
class ParetoMedian:
    """The rule. It has no settings."""

    def judge(self, task: Task, seed: int) -> Judge:
        """A judge that has seen no trial."""
        return _ParetoJudge()


@dataclass
class _ParetoJudge:
    seen: list[tuple[int, int]] = field(default_factory=list)
    """Row and points run of each trial."""

    def follow(self, trial: Trial) -> Fate:
        task, best = trial.task, np.inf
        for point in range(task.points - 1):
            if task.joint[trial.row, point] >= 0:
                break  # as everywhere in this benchmark, a trial that passes is left alone
            rows = [trial.row, *(row for row, ran in self.seen if ran > point)]
            ranks = pareto_ranks(np.nan_to_num(task.slacks[rows, point], nan=-1e6))
            best = min(best, ranks[0])
            if len(self.seen) >= STARTUP and len(ranks) > 1 and best > np.median(ranks[1:]):
                self.seen.append((trial.row, point + 1))
                return Fate(point + 1, flagged=point + 1)
        self.seen.append((trial.row, task.points))
        return Fate(task.points)


def pareto_ranks(values: Array) -> list[int]:
    """The front of each point [n, J], more is better: 0 is dominated by none.

    With one or two metrics, taken by the first value downwards, a point lies on the first front
    none of whose points so far has a second value as great; of each front the greatest is kept
    (Jensen 2003). With more, the fronts are peeled one by one.
    """
    if values.shape[1] > 2:
        return _peeled(values)
    values = values[:, [0, -1]]  # one metric twice has the same ranks
    order = np.lexsort((-values[:, 1], -values[:, 0]))
    ranks = [0] * len(values)
    lowest: list[float] = []  # of each front minus its greatest second value
    previous, last = None, 0
    for index in order:
        x, y = float(values[index, 0]), float(values[index, 1])
        if previous == (x, y):  # equal points do not dominate each other
            ranks[index] = ranks[last]
            continue
        rank = bisect_right(lowest, -y)
        if rank == len(lowest):
            lowest.append(-y)
        else:
            lowest[rank] = -y
        ranks[index], previous, last = rank, (x, y), index
    return ranks


def _peeled(values: Array) -> list[int]:
    above = (values >= values[:, None]).all(axis=2) & (values > values[:, None]).any(axis=2)
    ranks, left = np.zeros(len(values), int), np.ones(len(values), bool)
    while left.any():
        front = left & ~above[:, left].any(axis=1)
        left &= ~front
        ranks[left] += 1
    return [int(rank) for rank in ranks]
