"""Paired comparison of two sets of figures on the same samples.

Samples of one livery are not independent: a network that fails on one view of a livery tends to
fail on its other views. So the livery is the unit. Each livery counts once, with the mean
difference over its samples. The interval is the paired t interval over liveries. A bootstrap over
few liveries gives intervals that are far too narrow (docs/log.md, 2026-11-23).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

LEVEL = 0.95
"""Confidence level of the intervals."""

Verdict = Literal["better", "worse", "within noise", "differs", "unknown"]


@dataclass(frozen=True)
class Difference:
    """The paired difference of one metric: our figures minus theirs."""

    mean: float
    """The mean over liveries of each livery's mean over its samples."""
    low: float | None
    """Lower end of the interval at :data:`LEVEL`; None if there is only one livery."""
    high: float | None
    """Upper end of that interval."""
    liveries: int
    samples: int
    """The number of pairs in which both figures are finite."""
    verdict: Verdict
    """``differs``: the metric's better direction is unknown. ``unknown``: there is no interval."""


def difference(
    ours: np.ndarray, theirs: np.ndarray, liveries: Sequence[str], higher: bool | None
) -> Difference | None:
    """The paired difference of ``ours`` [N] and ``theirs`` [N]; None if no pair is finite.

    Args:
        liveries: the livery of each sample.
        higher: whether a higher figure is better; None if that is unknown.
    """
    change = ours.astype(float) - theirs.astype(float)
    valid = np.isfinite(change)
    if not valid.any():
        return None
    names, group = np.unique(np.asarray(liveries)[valid], return_inverse=True)
    means = np.bincount(group, change[valid]) / np.bincount(group)
    mean = float(means.mean())
    low, high = interval(means)
    return Difference(mean, low, high, len(names), int(valid.sum()), _verdict(low, high, higher))


def interval(values: np.ndarray) -> tuple[float | None, float | None]:
    """The t interval of the mean of ``values`` [L]; (None, None) for a single value."""
    if len(values) < 2:
        return None, None
    if np.ptp(values) == 0:  # scipy would warn of lost precision
        return float(values[0]), float(values[0])
    from scipy import stats

    bounds = stats.ttest_1samp(values, 0.0).confidence_interval(LEVEL)
    return float(bounds.low), float(bounds.high)


def _verdict(low: float | None, high: float | None, higher: bool | None) -> Verdict:
    if low is None or high is None:
        return "unknown"
    if low <= 0 <= high:
        return "within noise"
    if higher is None:
        return "differs"
    return "better" if (low > 0) == higher else "worse"
