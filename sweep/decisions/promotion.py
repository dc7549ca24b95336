"""Whether metrics pass the thresholds: the decision behind pruning, promotion and the gate."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sweep.study.config import OBJECTIVE
from uvtex.thresholds import Threshold, margin


@dataclass(frozen=True)
class Decision:
    """Whether metrics pass the thresholds, and why in a clause."""

    passed: bool
    margin: float
    """>= 0 passes; -inf where a metric is NaN."""
    reason: str


def decide(metrics: Mapping[str, float], thresholds: Sequence[Threshold]) -> Decision:
    """The decision on measured or forecast metrics.

    Raises:
        KeyError: a threshold's metric is not among ``metrics``.
        ValueError: there is no threshold.
    """
    value = margin(metrics, thresholds)
    if value >= 0:
        met = ", ".join(f"{t.metric} {metrics[t.metric]:.4g}" for t in thresholds)
        return Decision(True, value, f"passes with {met}")
    worst = min(thresholds, key=lambda t: t.slack(metrics[t.metric]))
    figure = _apart(metrics[worst.metric], worst.value)
    return Decision(False, value, f"{worst.metric} {figure} misses {worst} by the most")


def nearly_passes(
    metrics: Mapping[str, float],
    thresholds: Sequence[Threshold],
    deviations: Mapping[str, float],
) -> bool:
    """Whether metrics miss no threshold by more than one standard deviation over seeds.

    Another seed may then pass them all.

    Args:
        deviations: metric -> that standard deviation, in the metric's own units.
    """
    return all(t.distance(metrics[t.metric]) >= -deviations[t.metric] for t in thresholds)


def _apart(value: float, threshold: float) -> str:
    """``value`` to four digits, or to more where it would otherwise read like ``threshold``."""
    texts = (f"{value:.{digits}g}" for digits in range(4, 18))
    return next((text for text in texts if float(text) != threshold), f"{value:.4g}")


def not_numbers(metrics: Mapping[str, float], thresholds: Sequence[Threshold]) -> list[str]:
    """The thresholds' metrics that are NaN or infinite. A run with one of these has failed."""
    return [t.metric for t in thresholds if not math.isfinite(metrics[t.metric])]


def constraints(metrics: Mapping[str, float], thresholds: Sequence[Threshold]) -> dict[str, float]:
    """Threshold -> constraint value, for all thresholds but the objective's; <= 0 is feasible."""
    return {str(t): -t.slack(metrics[t.metric]) for t in thresholds if t.metric != OBJECTIVE}
