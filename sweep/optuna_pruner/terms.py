"""What the trials of a study are judged by, and the checks of what a person supplies."""

from __future__ import annotations

import math
import operator
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from sweep.decisions.stopping.curves import LOOKS, epochs_seen
from uvtex.thresholds import Threshold


@dataclass(frozen=True)
class Terms:
    """The settings of :class:`sweep.optuna_pruner.PromotionPruner`.

    Raises:
        ValueError: one is out of range, or ``min_epochs`` leaves no look.
    """

    thresholds: tuple[Threshold, ...]
    epochs: int
    risk: float
    min_epochs: int
    seed: int
    first_step: int

    def __post_init__(self) -> None:
        if not self.thresholds or not all(isinstance(t, Threshold) for t in self.thresholds):
            raise ValueError(
                "thresholds must be a list of at least one uvtex.thresholds.Threshold, got "
                f"{list(self.thresholds)}"
            )
        for name, least in (("epochs", 2), ("min_epochs", 1), ("seed", 0), ("first_step", 0)):
            if _whole(name, getattr(self, name)) < least:
                raise ValueError(f"{name} must be at least {least}, got {getattr(self, name)}")
        if not 0 < _number("risk", self.risk) < 1:
            raise ValueError(f"risk must be between 0 and 1, got {self.risk!r}")
        looks = range(len(LOOKS))
        if not any(epochs_seen(look, self.epochs, self.min_epochs) for look in looks):
            raise ValueError(
                f"min_epochs {self.min_epochs} leaves no look at a trial of {self.epochs} epochs: "
                f"the last look is after {LOOKS[-1]:.0%} of them; give a smaller min_epochs"
            )

    def epoch(self, step: int) -> int:
        """The epoch of a step, counted from 1.

        Raises:
            ValueError: it is no step of a trial.
        """
        number = _whole("step", step)
        last = self.first_step + self.epochs - 1
        if self.first_step <= number <= last:
            return number - self.first_step + 1
        other = {0: 1, 1: 0}.get(self.first_step)
        hint = ""
        if other is not None and number in (other, other + self.epochs - 1):
            hint = f"; if your steps start at {other}, give the pruner first_step={other}"
        raise ValueError(
            f"step must be {self.first_step} to {last} in a trial of {self.epochs} epochs, got "
            f"{number}{hint}"
        )

    def measured(self, metrics: Mapping[str, float]) -> dict[str, float]:
        """``metrics`` as numbers. NaN and infinity are numbers here: trainings diverge.

        Raises:
            ValueError: one is no number, or a threshold's metric is missing.
        """
        values = {str(name): _number(f"metric {name}", v) for name, v in metrics.items()}
        for threshold in self.thresholds:
            if threshold.metric not in values:
                raise ValueError(
                    f"the metric of threshold {threshold} was not reported, only "
                    f"{', '.join(values) or 'nothing'}"
                )
        return values

    def planned(self, name: str, values: Sequence[float]) -> list[float]:
        """The value of every epoch, as numbers.

        Raises:
            ValueError: there are more or fewer values than epochs, or one is not finite.
        """
        if len(values) != self.epochs:
            raise ValueError(
                f"{name} must have a value for each of {self.epochs} epochs, got {len(values)}"
            )
        row = [_number(name, value) for value in values]
        if not all(map(math.isfinite, row)):
            raise ValueError(f"{name} must be finite numbers, got {row}")
        return row


def _whole(name: str, value: object) -> int:
    try:
        return operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        raise ValueError(f"{name} must be a whole number, got {value!r}") from None


def _number(name: str, value: Any) -> float:
    """``value`` as a float; a number of NumPy or PyTorch is one."""
    if not isinstance(value, str | bytes | bool):
        with suppress(TypeError, ValueError):
            return float(value)
    raise ValueError(f"{name} must be a number, got {value!r}")
