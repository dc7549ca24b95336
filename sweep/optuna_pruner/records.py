"""What is kept on a trial, as user attributes of Optuna.

=========================  ========================================================================
``promotion.epoch.0007``   the metrics that were reported of epoch 7, by name
``promotion.plan``         the schedule: ``lr`` and ``loss_weights`` of every epoch
``promotion.look``         the epoch of the last look
``promotion.probability``  the probability of passing at that look
``promotion.forecast``     mean and deviation of the best joint slack of the whole run at that look
``promotion.reason``       why the trial was flagged there, or why not
``promotion.flag``         the flag if it has one; ``audited`` tells whether it goes on nevertheless
=========================  ========================================================================
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sweep.study.look import Flag, Look
from uvtex.thresholds import Threshold

EPOCH = "promotion.epoch."
PLAN = "promotion.plan"
LOOK = "promotion.look"
PROBABILITY = "promotion.probability"
FORECAST = "promotion.forecast"
REASON = "promotion.reason"
FLAG = "promotion.flag"


@dataclass(frozen=True)
class Record:
    """What is kept on one trial."""

    metrics: Mapping[int, Mapping[str, float]]
    """Epoch, counted from 1 -> metric -> value."""
    lr: Sequence[float] | None = None
    """Learning rate of every epoch; None: unknown."""
    loss_weights: Mapping[str, Sequence[float]] | None = None
    """Loss term -> its weight in every epoch; None: unknown."""
    look: int = 0
    """Epoch of the last look; 0: none was made."""
    flag: Flag | None = None

    def slacks(self, thresholds: Sequence[Threshold]) -> dict[int, list[float]]:
        """Signed distances to the thresholds of each epoch that has all their metrics."""
        return {
            epoch: [one.slack(values[one.metric]) for one in thresholds]
            for epoch, values in self.metrics.items()
            if all(one.metric in values for one in thresholds)
        }

    def is_to_stop(self, thresholds: Sequence[Threshold]) -> bool:
        """Whether the trial has a flag, is not audited, and has not passed since."""
        if self.flag is None or self.flag.audited:
            return False
        return all(min(row) < 0 for row in self.slacks(thresholds).values())


def epoch_attribute(epoch: int, metrics: Mapping[str, float]) -> tuple[str, Any]:
    """Name and value of the attribute that keeps an epoch. JSON has no NaN and no infinity."""
    kept = {name: v if math.isfinite(v) else str(v) for name, v in metrics.items()}
    return f"{EPOCH}{epoch:04d}", kept


def look_attributes(shown: Look, flag: Flag | None) -> dict[str, Any]:
    """The attributes that tell of a look, in the order in which they are to be written."""
    out: dict[str, Any] = {} if flag is None else {FLAG: flag.model_dump()}
    if shown.chance is not None:
        out[PROBABILITY] = shown.chance
    if shown.forecast is not None:
        out[FORECAST] = shown.forecast.model_dump()
    return out | {REASON: shown.reason, LOOK: shown.epoch}


def read(attributes: Mapping[str, Any]) -> Record:
    """The record in a trial's user attributes."""
    planned, flag = attributes.get(PLAN, {}), attributes.get(FLAG)
    return Record(
        metrics={
            int(key.removeprefix(EPOCH)): {name: float(v) for name, v in values.items()}
            for key, values in attributes.items()
            if key.startswith(EPOCH)
        },
        lr=planned.get("lr"),
        loss_weights=planned.get("loss_weights"),
        look=attributes.get(LOOK, 0),
        flag=None if flag is None else Flag.model_validate(flag),
    )
