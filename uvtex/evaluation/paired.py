"""Two sets of figures on the same samples: by how much they differ, and whether that is noise.

Samples of one livery are not independent: what a network makes of one view of it, it makes of the
others. So the livery is the unit. Each livery counts once, with the mean difference over its
samples, and the interval is the paired t interval over liveries. With few liveries a bootstrap
over them is far too narrow (docs/log.md, 2026-11-23); so it is not used.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

LEVEL = 0.95
"""Of the intervals."""

Verdict = Literal["better", "worse", "within noise", "differs", "unknown"]


@dataclass(frozen=True)
class Difference:
    """One metric's paired difference: these figures minus those they are held against."""

    mean: float
    """Over liveries, each with the mean over its samples."""
    low: float | None
    """Of the interval at :data:`LEVEL`; None where one livery says nothing of the others."""
    high: float | None
    liveries: int
    samples: int
    """Pairs in which both figures are numbers."""
    verdict: Verdict
    """``differs`` where it is not known which way is better, ``unknown`` without an interval."""


def difference(
    ours: np.ndarray, theirs: np.ndarray, liveries: Sequence[str], higher: bool | None
) -> Difference | None:
    """How ``ours`` [N] differs from ``theirs`` [N], sample by sample; None if no pair is numbers.

    Args:
        liveries: each sample's.
        higher: whether higher is better; None: not known.
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
    """The t interval of the mean of ``values`` [L]; (None, None) for one value."""
    if len(values) < 2:
        return None, None
    if np.ptp(values) == 0:  # scipy warns of lost precision, rightly but for nothing
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
