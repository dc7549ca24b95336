"""Whether to stop a probe early, by its best epoch so far and the forecast of its last one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sweep.decisions.forecast import Forecast, forecast
from sweep.decisions.promotion import decide
from sweep.study.config import Pruning
from uvtex.thresholds import Threshold, margin


@dataclass(frozen=True)
class Verdict:
    """The pruner's decision after an epoch."""

    stop: bool
    reason: str
    forecast: dict[str, float] | None = None
    """Metric -> expected value at the last epoch; also ``margin`` and ``margin_optimistic``."""


def judge(
    epochs: Sequence[Mapping[str, float]],
    thresholds: Sequence[Threshold],
    total: int,
    settings: Pruning,
) -> Verdict:
    """The verdict after ``epochs`` (validation metrics, from epoch 1) of a run of ``total``.

    A run is stopped if two epochs both miss the thresholds: its best epoch so far, and an
    optimistic one. The optimistic epoch has, for each threshold's metric, the better of two values:
    the best value so far, and the forecast of the last epoch plus ``settings.allowance`` standard
    deviations to the good side. So an early dip of a curve does not stop the run.
    """
    if len(epochs) < settings.warmup_epochs:
        return Verdict(False, "warming up")
    ends = {t.metric: forecast([e[t.metric] for e in epochs], total) for t in thresholds}
    hoped = {t.metric: _hoped(t, epochs, ends[t.metric], settings.allowance) for t in thresholds}
    optimistic = decide(hoped, thresholds)
    expected = {metric: end.mean for metric, end in ends.items()}
    figures = expected | {
        "margin": margin(expected, thresholds),
        "margin_optimistic": optimistic.margin,
    }
    so_far = max((decide(e, thresholds) for e in epochs), key=lambda made: made.margin)
    if so_far.passed or optimistic.passed:
        return Verdict(False, so_far.reason if so_far.passed else "may still pass", figures)
    return Verdict(
        True, f"stopped after epoch {len(epochs)}: even at best, {optimistic.reason}", figures
    )


def _hoped(
    threshold: Threshold,
    epochs: Sequence[Mapping[str, float]],
    end: Forecast,
    allowance: float,
) -> float:
    rising = threshold.at_least is not None
    seen = [epoch[threshold.metric] for epoch in epochs]
    better = max if rising else min
    return better(*seen, end.optimistic(allowance, rising))
