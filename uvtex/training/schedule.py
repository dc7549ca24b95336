"""Loss weights and learning rate as functions of the epoch."""

from __future__ import annotations

import math

from uvtex.config import TERMS, Schedule


def weights(schedule: Schedule, epoch: int, epochs: int) -> dict[str, float]:
    """The four weights in ``epoch``, counted from 1.

    They are ``end + (start - end) * (1 + cos(pi p)) / 2`` with ``p = (epoch - 1) / (epochs - 1)``.
    A run of one epoch has the start values.

    Raises:
        ValueError: ``epoch`` is not in 1..epochs.
    """
    if not 1 <= epoch <= epochs:
        raise ValueError(f"epoch must be in 1..{epochs}, got {epoch}")
    progress = (epoch - 1) / (epochs - 1) if epochs > 1 else 0.0
    fade = (1 + math.cos(math.pi * progress)) / 2
    out = {}
    for term in TERMS:
        ramp = getattr(schedule, term)
        end = ramp.start if ramp.end is None else ramp.end
        out[term] = end + (ramp.start - end) * fade
    return out


def learning_rate(lr: float, schedule: Schedule, epoch: int, epochs: int) -> float:
    """The learning rate in ``epoch``, counted from 1.

    It is constant, or ``lr * (1 + cos(pi (epoch - 1) / T_max)) / 2``. The latter is torch's
    CosineAnnealingLR with eta_min 0, stepped once per epoch. Beyond T_max the rate rises again
    (Loshchilov and Hutter 2017, equation 5, without restarts).
    """
    if schedule.lr_scheduler == "none":
        return lr
    tmax = schedule.lr_scheduler_tmax or epochs
    return lr * (1 + math.cos(math.pi * (epoch - 1) / tmax)) / 2
