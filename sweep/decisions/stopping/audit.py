"""The audit: some flagged trials go on, by a coin, and tell how many good ones pruning loses."""

from __future__ import annotations

import functools
import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

FIRST, FIRST_SHARE, SHARE = 30, 0.3, 0.1
"""Of the first 30 flagged trials 30 % are audited, of the rest 10 %."""

AIM = 0.05
LEVEL = 0.95

RAISE = 3.0
"""The factor on the chances that the e-process tests, and then applies."""

Array = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

EMPTY = (0, 0, 0, 1.0)
"""A stratum without trials."""


def coin(study_seed: int, trial: int) -> float:
    """A number in [0, 1) drawn when a trial is made, independent of all that follows.

    A flagged trial is audited if it is below :func:`share`.
    """
    digest = hashlib.sha256(f"{study_seed}/{trial}/audit".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def share(flagged: int) -> float:
    """The share audited of a trial flagged after ``flagged`` others."""
    return FIRST_SHARE if flagged < FIRST else SHARE


@dataclass(frozen=True)
class Flagged:
    """A flagged trial."""

    chance: float
    """The probability of passing that the ledger was told."""
    share: float
    """The share audited when it was flagged."""
    passed: bool | None = None
    """What came of it; None if it was stopped. An audited trial that failed to run did not pass."""
    extra_epochs: int = 0
    """Epochs run beyond the flag."""


@dataclass(frozen=True)
class Audit:
    """What the audit shows. A rate is lost good trials over all good trials."""

    flagged: int
    audited: int
    passed: int
    estimate: float
    low: float
    high: float
    extra_epochs: int

    def __str__(self) -> str:
        return (
            f"{self.flagged} flagged, {self.audited} of them audited, {self.passed} of these "
            f"passed: {self.estimate:.1%} of the good trials lost (95 % interval {self.low:.1%} "
            f"to {self.high:.1%}), for {self.extra_epochs} extra epochs"
        )


def audit(flagged: Sequence[Flagged], passed: int) -> Audit:
    """The false-prune rate of a study with ``passed`` good trials that were never flagged.

    Estimate: the difference estimator of the good trials stopped, ``sum p' + sum (y - p') / q``
    over flagged and audited, less those found (Sarndal, Swensson and Wretman 1992, section 6.3).
    Interval: :func:`lost_interval`.
    """
    known = [one for one in flagged if one.passed is not None]
    found = sum(bool(one.passed) for one in known)
    good = sum(one.chance for one in flagged)
    good += sum((bool(one.passed) - one.chance) / one.share for one in known)
    low, high = lost_interval(flagged)
    most = len(flagged) - len(known)
    lost = min(max(good - found, 0.0), float(most))
    return Audit(
        flagged=len(flagged),
        audited=len(known),
        passed=found,
        estimate=_rate(lost, found + passed),
        low=_rate(low, found + passed),
        high=_rate(high, found + passed),
        extra_epochs=sum(one.extra_epochs for one in flagged),
    )


def lost_interval(flagged: Sequence[Flagged]) -> tuple[int, int]:
    """Good trials among the stopped ones, a 95 % interval by exact inversion.

    Given how many were audited, the audited are a simple random sample of the flagged, in each
    stratum of equal ``share``. So the good ones found are hypergeometric in the good ones there
    are. A number D of good flagged trials is kept if, for some split over the strata, the found
    ``sum K / q`` is in neither 2.5 % tail.
    """
    strata = []
    for q in sorted({one.share for one in flagged}):
        part = [one for one in flagged if one.share == q]
        known = [one for one in part if one.passed is not None]
        strata.append((len(part), len(known), sum(bool(one.passed) for one in known), q))
    found = sum(stratum[2] for stratum in strata)
    if not strata:
        return 0, 0
    kept = [d - found for d in _splits(strata)]
    return min(kept), max(kept)


def _splits(strata: list[tuple[int, int, int, float]]) -> list[int]:
    """Every total of good flagged trials that the found ones do not refute."""
    if len(strata) > 2:
        raise ValueError(f"an audit has at most two shares, got {len(strata)}")
    tail = (1 - LEVEL) / 2
    (v1, p1), (v2, p2) = [_tables(n, known, q) for n, known, _, q in [*strata, EMPTY][:2]]
    seen = sum(k / q for _, _, k, q in strata)
    total = v1[:, None] + v2[None, :]
    below = p1 @ (total <= seen + 1e-9) @ p2.T
    above = p1 @ (total >= seen - 1e-9) @ p2.T
    possible = np.logical_and.outer(*[_possible(*stratum) for stratum in [*strata, EMPTY][:2]])
    kept = np.argwhere((below >= tail) & (above >= tail) & possible)
    return sorted({int(a) + int(b) for a, b in kept})


def _possible(n: int, audited: int, found: int, q: float) -> npt.NDArray[np.bool_]:
    """Numbers of good trials 0..n that are at least those found and leave out those that failed."""
    good = np.arange(n + 1)
    return (found <= good) & (good <= n - (audited - found))


def _tables(n: int, audited: int, q: float) -> tuple[Array, Array]:
    """Values K / q, and P(K | D) for each D in 0..n; [audited + 1], [n + 1, audited + 1]."""
    if audited == 0:
        return np.zeros(1), np.ones((n + 1, 1))
    found = np.arange(audited + 1)
    return found / q, _hypergeometric(found, n, np.arange(n + 1)[:, None], audited)


def _hypergeometric(found: Integers, n: int, good: Integers | int, audited: int) -> Array:
    """Probability that ``found`` of the ``audited`` are good, where ``good`` of ``n`` are.

    SciPy's own takes a hundred times as long, seconds for a thousand flagged trials.
    """
    possible = (found <= good) & (audited - found <= n - good)
    logarithm = (
        _log_choose(good, np.minimum(found, good))
        + _log_choose(n - good, np.minimum(audited - found, n - good))
        - _log_choose(n, audited)
    )
    probability: Array = np.where(possible, np.exp(logarithm), 0.0)
    return probability


def _log_choose(n: Integers | int, k: Integers | int) -> Array:
    if np.ndim(n) == 0:  # a table up to n would have far more of them than are asked for
        few: Array = _log_factorial(n) - _log_factorial(k) - _log_factorial(np.subtract(n, k))
        return few
    factorials = _log_factorials(2 ** int(np.max(n)).bit_length())
    logarithm: Array = factorials[n] - factorials[k] - factorials[np.subtract(n, k)]
    return logarithm


def _log_factorial(n: Integers | int) -> Array:
    """ln(n!) of each number."""
    logarithm: Array = np.vectorize(math.lgamma, otypes=[np.float64])(np.add(n, 1))
    return logarithm


@functools.cache
def _log_factorials(most: int) -> Array:
    """ln(0!), ln(1!) and so on up to ``most``."""
    return _log_factorial(np.arange(most + 1))


def _rate(lost: float, seen: int) -> float:
    return lost / (lost + seen) if lost else 0.0


def more_audits(flagged: int, audited: int, found: int, passed: int) -> int | None:
    """Audits to come until at most 5 % can be said, if all of them fail; None if over 10,000.

    Of ``flagged`` trials ``audited`` went on and ``found`` of these passed; ``passed`` others were
    never flagged. The study is taken to go on as it did: flagged and passing trials in the same
    proportion, a tenth of the flagged audited.
    """
    if not flagged or not passed + found:
        return None

    def enough(more: int) -> bool:
        grown = flagged + round(more / SHARE)
        limit = _upper(grown, audited + more, found) - found
        return limit / (limit + (passed + found) * grown / flagged) <= AIM

    low, high = 0, 1
    if enough(0):
        return 0
    while not enough(high):
        low, high = high, 2 * high
        if high > 20_000:
            return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


def _upper(n: int, audited: int, found: int) -> int:
    """The most good ones among ``n`` of which a sample of ``audited`` has ``found``."""
    below = np.arange(found + 1)
    low, high = found, n - (audited - found)
    while low < high:
        middle = (low + high + 1) // 2
        if _hypergeometric(below, n, middle, audited).sum() >= (1 - LEVEL) / 2:
            low = middle
        else:
            high = middle - 1
    return low


@dataclass(frozen=True)
class Evidence:
    """An e-process against "the chances are large enough"; anytime valid (Ville 1939).

    Each audited trial multiplies ``value`` by the likelihood of what came of it under ``RAISE``
    times its chance, over that under its chance. If the chances are right or too large, ``value``
    ever reaches 20 with probability at most 5 %. When it does, chances are raised from then on.
    """

    value: float = 1.0
    factor: float = 1.0
    """What every chance is multiplied by."""
    raised: int = 0

    def raise_chance(self, chance: float) -> float:
        """The chance that the ledger is told."""
        return min(1.0, self.factor * chance)

    def after(self, chance: float, passed: bool) -> Evidence:
        """The evidence after an audited trial that was told ``chance``, already raised."""
        p = min(max(chance, 1e-9), 1 - 1e-9)
        larger = min(RAISE * p, 0.5 + p / 2)
        ratio = larger / p if passed else (1 - larger) / (1 - p)
        value = self.value * ratio
        if value < 1 / (1 - LEVEL) - 1e-9:
            return replace(self, value=value)
        return Evidence(1.0, self.factor * RAISE, self.raised + 1)

    def __str__(self) -> str:
        if not self.raised:
            return "no evidence that the chances are too small"
        return f"audited trials passed too often: chances are now {self.factor:g} times as large"
