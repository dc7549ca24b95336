"""Every policy of the benchmark by name."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from benchmarks.promotion.optuna_pruners import PRUNERS, OptunaPolicy
from benchmarks.promotion.ours import Ours
from benchmarks.promotion.pareto import ParetoMedian
from benchmarks.promotion.replay import Policy
from benchmarks.promotion.rules import RULES
from benchmarks.promotion.task import Task
from sweep.decisions.outlook import Kind

KINDS = {
    "ours": Kind(),
    "ours-raw": Kind(squash=False, schedule=False),
    "ours-raw-schedule": Kind(squash=False, schedule=True),
    "ours-asinh": Kind(squash=True, schedule=False),
    "ours-asinh-schedule": Kind(squash=True, schedule=True),
    "ours-uncorrected": Kind(recalibrate=False),
}
"""Our rule; ``ours`` is the product's forecast, the others are its rivals."""


def names() -> list[str]:
    """What ``--policy`` takes."""
    return [*RULES, *PRUNERS, "pareto-median", *KINDS]


def policy(name: str, risk: float, earlier: Sequence[Task] = ()) -> Policy:
    """The policy ``name``; only ours reads ``risk`` and ``earlier`` tasks.

    Raises:
        KeyError: there is no policy of that name.
    """
    makers: dict[str, Callable[[], Policy]] = {
        **RULES,
        **{key: lambda key=key: OptunaPolicy(key) for key in PRUNERS},
        "pareto-median": ParetoMedian,
        **{key: lambda kind=kind: Ours(kind, risk, tuple(earlier)) for key, kind in KINDS.items()},
    }
    return makers[name]()
