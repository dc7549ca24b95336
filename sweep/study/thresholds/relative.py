"""A threshold that refers to a named schedule of the study's calibration."""

from __future__ import annotations

from pydantic import model_validator

from sweep.study.folder import Stage
from uvtex.settings import Settings
from uvtex.thresholds import Threshold


class RelativeThreshold(Settings):
    """``by`` standard deviations over seeds better than the mean of a named schedule.

    >>> str(RelativeThreshold(metric="ssim_uv", above="baseline", by=2))
    'ssim_uv at least 2 standard deviations above baseline'
    """

    metric: str
    """Name of the metric."""
    above: str | None = None
    """Name of the schedule, for a metric whose higher values are better."""
    below: str | None = None
    """Name of the schedule, for a metric whose lower values are better."""
    by: float
    """Number of standard deviations over seeds. A negative number allows as much worse."""
    stage: Stage | None = None
    """The stage whose runs of the schedule are meant. None: probes are compared with the schedule's
    probes, full runs with its full runs."""

    @model_validator(mode="after")
    def _one_side(self) -> RelativeThreshold:
        if (self.above is None) == (self.below is None):
            raise ValueError(f"threshold on {self.metric} needs exactly one of above, below")
        return self

    @property
    def schedule(self) -> str:
        return self.above or self.below or ""

    def at(self, mean: float, deviation: float) -> Threshold:
        """The absolute threshold, whose scale is the standard deviation.

        Args:
            mean: the schedule's mean of the metric.
            deviation: the metric's standard deviation over seeds. Where it is 0, the scale is the
                default one.
        """
        scale = deviation or None
        if self.above is not None:
            bound = mean + self.by * deviation
            return Threshold(metric=self.metric, at_least=bound, scale=scale)
        bound = mean - self.by * deviation
        return Threshold(metric=self.metric, at_most=bound, scale=scale)

    def provisional(self) -> Threshold:
        """A threshold on the metric with its direction alone, for runs before the calibration.

        It orders the epochs of a run: the higher (or lower) the metric, the better.
        """
        if self.above is not None:
            return Threshold(metric=self.metric, at_least=0, scale=1)
        return Threshold(metric=self.metric, at_most=0, scale=1)

    def __str__(self) -> str:
        side = "above" if self.above is not None else "below"
        return f"{self.metric} at least {self.by:g} standard deviations {side} {self.schedule}"
