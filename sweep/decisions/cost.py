"""What a study will cost in hours and in device-hours, with an interval.

The forecast simulates the rest of the study many times and reads quantiles off. Its assumptions:

- A run takes its epochs times the seconds of an epoch, plus an overhead. Each run draws its seconds
  from the measured epochs, as the mean of :data:`MIXED` consecutive ones. A common factor stands
  for other load on the machine.
- The first :data:`FULL_FIRST` probes are not pruned. A later one that does not pass runs a share
  of its epochs that is drawn from the shares of earlier ones. Before there is one, the share is any
  from the first look to the end.
- A probe passes with a probability from Beta(passes + 1/2, probes - passes + 9/2). So before the
  first probe the guess is one in ten, and it weighs as much as five probes.
- A candidate takes a number of replicates that is drawn from the earlier candidates'. Before there
  is one, it is any number from 2 to the most. A candidate that has had some takes no fewer.
- A trial whose comparison with the champion is undecided takes one more full run at least, and any
  number up to the most.
- A device does one run at a time, and all devices are equally fast. At the end, devices wait for
  the last run, on average for half of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FULL_FIRST = 20
"""Probes that run to their end before a forecast may prune."""

FIRST_LOOK = 0.35
"""Share of a probe's epochs before which it is never pruned."""

PRIOR = (0.5, 4.5)
"""Beta distribution of the share of probes that pass, before any probe."""

DRAWS = 2000
"""Simulated studies. The ends of the interval then have an error of about one percent of it."""

LEVEL = 0.9
"""The interval's probability."""

MIXED = 8
"""A simulated run's seconds an epoch are the mean of so many consecutive measured epochs."""

UNKNOWN_SPEED = 0.2
"""Standard deviation of the logarithm of the common factor between the measured speed and the
speed to come: other load on the machine. Divided by the square root of the hours measured, 1 at
least."""

RECENT = 2000
"""A forecast draws from so many of the latest epochs, overheads and probes. They say as much as all
of ten thousand, and cost a tenth."""

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Ahead:
    """What is still to be run."""

    probes: int
    """Probes that are to be started."""
    probe_epochs: int
    full_epochs: int
    most_replicates: int
    """Full runs of one candidate, at most."""
    devices: int
    """Runs at a time."""
    candidates: int = 0
    """Probes that passed and whose replicates have not started."""
    begun: Sequence[int] = ()
    """Full runs so far of each candidate that is not decided yet."""
    compared: Sequence[int] = ()
    """Full runs that each trial of an undecided comparison with the champion may still get."""
    prunes: bool = True
    """Whether probes may be pruned."""
    started_epochs: int = 0
    """Epochs left of the runs in progress."""


@dataclass(frozen=True)
class Seen:
    """What was measured. Before the start, the calibration's epochs and overheads."""

    epoch_seconds: Sequence[float]
    """Seconds of each epoch, in the order of time; at least one."""
    overheads: Sequence[float] = ()
    """Seconds of each run outside its epochs."""
    shares: Sequence[float] = ()
    """Epochs made over epochs planned of each probe that ended, in the order of time."""
    probes: int = 0
    """Probes that ended."""
    passes: int = 0
    """Probes that passed."""
    replicates: Sequence[int] = ()
    """Full runs of each candidate that was decided."""


@dataclass(frozen=True)
class Interval:
    """Median and interval of a forecast."""

    low: float
    median: float
    high: float

    def __str__(self) -> str:
        return f"{self.median:.2g} ({self.low:.2g} to {self.high:.2g})"


@dataclass(frozen=True)
class Cost:
    """The cost of the rest of a study, in hours."""

    hours: Interval
    """By the clock on the wall, while the machine is awake."""
    device_hours: Interval
    """Sum over devices of the time in which each runs something."""

    def __str__(self) -> str:
        return (
            f"{self.hours} hours and {self.device_hours} device-hours to go, {LEVEL:.0%} intervals"
        )


def forecast_cost(ahead: Ahead, seen: Seen, rng: np.random.Generator, draws: int = DRAWS) -> Cost:
    """The cost of ``ahead``, by ``draws`` simulated studies.

    Raises:
        ValueError: no epoch was measured, or there is no device.
    """
    if not len(seen.epoch_seconds):
        raise ValueError("a forecast of the cost needs at least one measured epoch")
    if ahead.devices < 1:
        raise ValueError(f"devices must be at least 1, got {ahead.devices}")
    studies = [_simulate(ahead, seen, rng) for _ in range(draws)]
    total = np.array([spent for spent, _ in studies]) / 3600
    last = np.array([longest for _, longest in studies]) / 3600
    others = 1 - 1 / ahead.devices
    wall = np.maximum(total / ahead.devices + others * last / 2, last)
    return Cost(_interval(wall), _interval(total))


def _simulate(ahead: Ahead, seen: Seen, rng: np.random.Generator) -> tuple[float, float]:
    """Seconds of all runs, and of the longest one."""
    a, b = seen.passes + PRIOR[0], seen.probes - seen.passes + PRIOR[1]
    passes = int(rng.binomial(ahead.probes, rng.beta(a, b)))
    shares = _shares(ahead, seen, rng)
    shares[:passes] = 1.0  # a probe that passes runs to its end
    full_runs = sum(_replicates(ahead, seen, rng) for _ in range(passes + ahead.candidates))
    full_runs += sum(_replicates(ahead, seen, rng, had) - had for had in ahead.begun)
    full_runs += sum(int(rng.integers(1, most + 1)) for most in ahead.compared if most > 0)
    epochs = np.concatenate([shares * ahead.probe_epochs, np.full(full_runs, ahead.full_epochs)])
    if ahead.started_epochs:
        epochs = np.append(epochs, ahead.started_epochs)
    if not len(epochs):
        return 0.0, 0.0
    measured_hours = max(1.0, float(np.sum(seen.epoch_seconds)) / 3600)
    factor = rng.lognormal(0.0, UNKNOWN_SPEED / np.sqrt(measured_hours))
    seconds = factor * epochs * _speeds(len(epochs), seen, rng)
    if len(seen.overheads):
        seconds = seconds + rng.choice(np.asarray(seen.overheads, dtype=np.float64), len(epochs))
    return float(seconds.sum()), float(seconds.max())


def _speeds(count: int, seen: Seen, rng: np.random.Generator) -> Array:
    measured = np.asarray(seen.epoch_seconds, dtype=np.float64)
    width = min(MIXED, len(measured))
    starts = rng.integers(0, len(measured) - width + 1, count)
    sums = np.concatenate([[0.0], np.cumsum(measured)])
    speeds: Array = (sums[starts + width] - sums[starts]) / width
    return speeds


def _shares(ahead: Ahead, seen: Seen, rng: np.random.Generator) -> Array:
    """Share of its epochs that each probe would run if it did not pass, in no order."""
    drawn = np.ones(ahead.probes)
    unpruned = max(0, FULL_FIRST - seen.probes)
    later = max(0, ahead.probes - unpruned)
    if ahead.prunes and later:
        known = np.asarray(seen.shares[FULL_FIRST:], dtype=np.float64)
        drawn[unpruned:] = (
            rng.choice(known, later) if len(known) else rng.uniform(FIRST_LOOK, 1.0, later)
        )
        rng.shuffle(drawn)
    return drawn


def _replicates(ahead: Ahead, seen: Seen, rng: np.random.Generator, had: int = 0) -> int:
    """The full runs of a candidate in all, of which it has ``had`` some."""
    if known := [count for count in seen.replicates if count >= max(had, 1)]:
        return int(rng.choice(np.asarray(known)))
    least = max(had, min(2, ahead.most_replicates))
    return int(rng.integers(least, max(least, ahead.most_replicates) + 1))


def _interval(values: Array) -> Interval:
    tail = (1 - LEVEL) / 2
    low, median, high = np.quantile(values, [tail, 0.5, 1 - tail])
    return Interval(float(low), float(median), float(high))
