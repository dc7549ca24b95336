"""Whether a study in which nothing has passed should end early."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sweep.decisions.stopping.ledger import percent

LEAST = 0.05
"""A study ends if the remaining probes contain a pass with less than this probability."""

JEFFREYS = (0.5, 0.5)
"""Prior of the share of probes that pass, as a Beta distribution: one trial's worth."""


@dataclass(frozen=True)
class Ending:
    """Whether to end, and with what probability that loses a pass."""

    end: bool
    probability: float
    """That at least one of the remaining probes passes."""
    reason: str


def judge_ending(
    finished: int, remaining: int, lost: float = 0.0, fresh: float | None = None
) -> Ending:
    """The decision after ``finished`` probes, none of which passed.

    The share of probes that pass is Beta(a + lost, b + finished - lost). For n remaining probes

        P(any passes) = 1 - B(a', b' + n) / B(a', b'),

    the beta-binomial distribution (Raiffa and Schlaifer, "Applied Statistical Decision Theory",
    1961). Without ``fresh`` a = b = 1/2. Then the probability is below 5 % only if the remaining
    probes are at most about a ninth of the finished ones, so little is saved. With ``fresh``, a =
    ``fresh`` and b = 1 - ``fresh``: the prior keeps the weight of one trial, and its mean is what
    the forecast says. That assumes that the sampler finds no better region than it has so far.

    Args:
        finished: probes that ended or were pruned, all without a pass.
        remaining: probes that may still be made.
        lost: expected passes among the pruned probes: the sum of their probabilities.
        fresh: the forecast's probability that a fresh probe passes, such as :func:`fresh_draw`.

    Raises:
        ValueError: a count is negative, ``lost`` is not 0 to ``finished``, or ``fresh`` is not
            between 0 and 1.
    """
    if finished < 0 or remaining < 0:
        raise ValueError(f"counts must be >= 0, got {finished} and {remaining}")
    if not 0 <= lost <= finished:
        raise ValueError(f"lost must be 0 to {finished}, got {lost:g}")
    if fresh is not None and not 0 <= fresh <= 1:
        raise ValueError(f"fresh must be 0 to 1, got {fresh:g}")
    a, b = JEFFREYS if fresh is None else (fresh, 1 - fresh)
    probability = _any_passes(a + lost, b + finished - lost, remaining)
    end = finished > 0 and probability < LEAST
    given = f"None of {finished} probes passed"
    if fresh is not None:
        given += f", and the forecast gives a new one {percent(fresh)}"
    chance = f"one of the {remaining} remaining passes with {percent(probability)}"
    what = "the study ends early" if end else "the study goes on"
    return Ending(end, probability, f"{given}: {chance}, so {what}.")


def fresh_draw(margins: Sequence[float]) -> float | None:
    """Probability that a new probe's margin is >= 0, by a Student t on finished ones' margins.

    The predictive distribution of a normal sample: t with n - 1 degrees of freedom, mean of the
    sample, scale ``s sqrt(1 + 1/n)``. None below three margins, or if they are all the same.

    Args:
        margins: best margins of the probes that ran to their end, pruned ones by their forecast.
    """
    values = np.asarray(margins, dtype=np.float64)
    n = len(values)
    if n < 3 or not np.isfinite(values).all() or float(np.ptp(values)) == 0:
        return None
    from scipy import special  # those who only read a study do without

    scale = float(values.std(ddof=1)) * math.sqrt(1 + 1 / n)
    return float(special.stdtr(n - 1, float(values.mean()) / scale))


def _any_passes(a: float, b: float, n: int) -> float:
    """``1 - prod over i < n of (b + i) / (a + b + i)``, which is the ratio of Beta functions."""
    if b == 0:
        return float(n > 0)
    failures = b + np.arange(n)
    return float(-math.expm1(-np.log1p(a / failures).sum()))
