"""What the pruner saw and decided at a look at a probe; a part of the probe's record."""

from __future__ import annotations

from pydantic import Field

from uvtex.settings import Settings


class Forecast(Settings):
    """The best joint slack of the whole run, as a forecast has it.

    The joint slack is the smallest distance to a threshold. Each metric counts in standard
    deviations of its best values over the finished runs. >= 0 passes.
    """

    mean: float
    deviation: float = Field(ge=0)
    """Scale of a Student t distribution around the mean: the noise of runs and of the fit."""


class Look(Settings):
    """One look at a probe in progress."""

    epoch: int = Field(ge=1)
    """Epochs that were looked at."""
    chance: float | None = Field(default=None, ge=0, le=1)
    """Probability that the probe will have passed at its end. None: nothing to learn from yet."""
    forecast: Forecast | None = None
    fresh: float = Field(ge=0, le=1)
    """Probability that a new probe passes, by the probes so far."""
    reason: str
    """In words, why the probe was flagged, or why not."""


class Flag(Settings):
    """The look at which a probe was found not worth its remaining epochs."""

    epoch: int = Field(ge=1)
    """Epochs that the probe had made."""
    chance: float = Field(ge=0, le=1)
    """Its probability of passing that the ledger was told."""
    share: float = Field(gt=0, le=1)
    """The share of flagged probes that were audited when it was flagged."""
    audited: bool
    """Whether it goes on nevertheless, so that the pruner's errors can be counted."""
