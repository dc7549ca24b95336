"""The search space as Optuna's distributions.

The driver asks Optuna for trials by them, and the report weighs finished trials by them. The report
may not import the driver, so they stand below both.
"""

from __future__ import annotations

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution

from sweep.study.config import CONSTANTS, Range, Search
from uvtex.config import TERMS


def distributions(search: Search) -> dict[str, BaseDistribution]:
    """Parameter name -> distribution, in the order of suggestion.

    The order decides which random number each parameter gets, so it must not change.
    """
    out: dict[str, BaseDistribution] = {}
    for term in TERMS:
        for end in ("start", "end"):
            out[f"{term}_{end}"] = _float(getattr(search.weights, term))
    out["lr_scheduler"] = CategoricalDistribution(list(search.lr_schedulers))
    for name in CONSTANTS:
        bounds = getattr(search, name)
        if bounds is not None:
            out[name] = _float(bounds)
    out["tmax"] = _float(search.tmax)
    return out


def _float(bounds: Range) -> FloatDistribution:
    return FloatDistribution(bounds.low, bounds.high, log=bounds.log)
