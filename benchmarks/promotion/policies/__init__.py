"""Every policy of the benchmark by name."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from benchmarks.promotion.policies.optuna_pruners import PRUNERS, OptunaPolicy
from benchmarks.promotion.policies.ours import Ours
from benchmarks.promotion.policies.pareto import ParetoMedian
from benchmarks.promotion.policies.rivals import gaussian_process, nearest_curves
from benchmarks.promotion.policies.rules import RULES
from benchmarks.promotion.replay import Policy
from benchmarks.promotion.task import Task
from sweep.decisions.stopping.ledger import Ledger
from sweep.decisions.stopping.outlook import Kind

KINDS = {
    "ours": Kind(),
    "ours-raw": Kind(squash=False, schedule=False),
    "ours-asinh": Kind(squash=True, schedule=False),
    "ours-asinh-schedule": Kind(squash=True, schedule=True),
    "ours-likeliest": Kind(averaged=False),
    "ours-uncorrected": Kind(recalibrate=False),
    "ours-trusting": Kind(doubtful=False),
    "ours-unsplit": Kind(split=False),
    "ours-hopeful": Kind(careful=False),
    "ours-wide": Kind(clips=(8.0,)),
    "ours-unpriced": Kind(priced=False),
    "ours-late": Kind(least_runs=20),
    "ours-guarded": Kind(),
    "ours-as-proposed": Kind(averaged=False, least_runs=20),
}
"""Our rule; ``ours`` is the product's forecast, the others are its rivals."""

STRICT = {"ours-guarded": 0.25, "ours-as-proposed": 0.25}
"""Guards other than the product's."""


RIVALS = {"gaussian-process": gaussian_process, "nearest-curves": nearest_curves}
"""Forecasts of another make under our ledger."""


def names() -> list[str]:
    """What ``--policy`` takes."""
    return [*RULES, *PRUNERS, "pareto-median", *KINDS, *RIVALS]


def policy(name: str, risk: float, earlier: Sequence[Task] = ()) -> Policy:
    """The policy ``name``; only ours reads ``risk`` and ``earlier`` tasks.

    Raises:
        KeyError: there is no policy of that name.
    """
    makers: dict[str, Callable[[], Policy]] = {
        **RULES,
        **{key: lambda key=key: OptunaPolicy(key) for key in PRUNERS},
        "pareto-median": ParetoMedian,
        **{key: lambda key=key: _ours(key, risk, earlier) for key in KINDS},
        **{key: lambda make=make: Ours(Kind(), risk, learn=make) for key, make in RIVALS.items()},
    }
    return makers[name]()


def _ours(name: str, risk: float, earlier: Sequence[Task]) -> Policy:
    guard = STRICT.get(name, Ledger.guard)
    return Ours(KINDS[name], risk, tuple(earlier), guard=guard)
