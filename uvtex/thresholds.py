"""Thresholds of metrics, and the margin of metrics over their thresholds."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import Field, model_validator

from uvtex.settings import Settings


class Threshold(Settings):
    """One promotion threshold: a metric and its smallest or largest passing value.

    ``scale`` makes the slacks of different metrics comparable. Its default is the absolute value of
    the threshold, or 1 if the threshold is 0. By default, a slack of 0.1 means that the metric is
    ten percent better than the threshold.

    >>> str(Threshold(metric="lpips_view", at_most=0.52))
    'lpips_view <= 0.52'
    """

    metric: str
    """Name of the metric."""
    at_least: float | None = None
    """The smallest value that passes."""
    at_most: float | None = None
    """The largest value that passes."""
    scale: float | None = Field(default=None, gt=0)
    """What a slack is divided by. None: the absolute value of the bound, or 1."""

    @model_validator(mode="after")
    def _one_side(self) -> Threshold:
        if (self.at_least is None) == (self.at_most is None):
            raise ValueError(f"threshold on {self.metric} needs exactly one of at_least, at_most")
        return self

    @property
    def value(self) -> float:
        """The bound, in the metric's own units."""
        bound = self.at_least if self.at_least is not None else self.at_most
        assert bound is not None  # the validator ensures it
        return bound

    def distance(self, measured: float) -> float:
        """How far ``measured`` is on the good side of the bound, in the metric's own units.

        A distance >= 0 passes. The distance of NaN is -inf.
        """
        if math.isnan(measured):
            return -math.inf
        return measured - self.value if self.at_least is not None else self.value - measured

    def slack(self, measured: float) -> float:
        """The distance divided by the scale."""
        return self.distance(measured) / (self.scale or abs(self.value) or 1.0)

    def __str__(self) -> str:
        return f"{self.metric} {'>=' if self.at_least is not None else '<='} {self.value:g}"


def margin(metrics: Mapping[str, Any], thresholds: Sequence[Threshold]) -> float:
    """The smallest slack over ``thresholds``. A margin >= 0 passes all of them.

    Raises:
        KeyError: a threshold's metric is not among ``metrics``.
        ValueError: ``thresholds`` is empty.

    >>> ssim = Threshold(metric="ssim_uv", at_least=0.5)
    >>> l1 = Threshold(metric="l1_uv", at_most=0.25)
    >>> margin({"ssim_uv": 0.75, "l1_uv": 0.125}, (ssim, l1))  # slacks: 0.25 / 0.5 and 0.125 / 0.25
    0.5
    >>> margin({"ssim_uv": 0.25, "l1_uv": 0.125}, (ssim, l1))  # fails SSIM(UV)
    -0.5
    """
    if not thresholds:
        raise ValueError("margin needs at least one threshold")
    return min(threshold.slack(float(metrics[threshold.metric])) for threshold in thresholds)
