"""The probes of a study as the rule knows them, from their records."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

import numpy as np

from sweep.decisions.stopping.curves import Array
from sweep.decisions.stopping.rule import Run
from sweep.study.folder import TrialRecord
from uvtex.config import TERMS, TrainConfig
from uvtex.thresholds import Threshold
from uvtex.training.schedule import learning_rate, weights

STATES: dict[str, Literal["ended", "stopped", "failed"]] = {
    "complete": "ended",
    "promoted": "ended",
    "pruned": "stopped",
    "failed": "failed",
}
"""State of a probe's record -> the rule's; every other state is running."""


def as_run(
    record: TrialRecord,
    metrics: Iterable[tuple[int, Mapping[str, float]]],
    thresholds: Sequence[Threshold],
    config: TrainConfig | None = None,
) -> Run:
    """A probe as the rule knows it.

    Args:
        metrics: the validation metrics of each epoch.
        config: the probe's settings, which say what its schedule will be. None: it is unknown.
    """
    return Run(
        settings=tuple(sorted(record.params.items())),
        slacks={epoch: _slacks(val, thresholds) for epoch, val in metrics},
        lr=None if config is None else _rates(config, record.epochs),
        loss_weights=None if config is None else _weights(config, record.epochs),
        state=STATES.get(record.state, "running"),
        flag=record.flag,
    )


def _slacks(metrics: Mapping[str, float], thresholds: Sequence[Threshold]) -> list[float]:
    return [threshold.slack(metrics[threshold.metric]) for threshold in thresholds]


def _rates(config: TrainConfig, epochs: int) -> Array:
    every = range(1, epochs + 1)
    return np.array([learning_rate(config.lr, config.schedule, epoch, epochs) for epoch in every])


def _weights(config: TrainConfig, epochs: int) -> Array:
    """[E, 4], in the order of :data:`uvtex.config.TERMS`."""
    found = [weights(config.schedule, epoch, epochs) for epoch in range(1, epochs + 1)]
    return np.array([[values[term] for term in TERMS] for values in found])
