"""The search space as Optuna's distributions.

The driver asks Optuna for trials by them, and the report weighs finished trials by them. The report
may not import the driver, so they stand below both.
"""

from __future__ import annotations

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from sweep.study.search import paths
from sweep.study.search.settings import Choices, Search


def distributions(search: Search) -> dict[str, BaseDistribution]:
    """Parameter -> distribution, in the order of suggestion.

    The order decides which random number each parameter gets. It is that of
    :func:`sweep.study.search.paths.searchable` and not that of the study file.
    """
    return {
        paths.parameter(path): _distribution(search, path)
        for path in paths.in_order(set(search.space))
    }


def _distribution(search: Search, path: str) -> BaseDistribution:
    values = search.space[path]
    if isinstance(values, Choices):
        return CategoricalDistribution(list(values.choices))
    if values.integer or paths.is_whole(path):
        return IntDistribution(int(values.low), int(values.high), log=values.log)
    return FloatDistribution(values.low, values.high, log=values.log)
