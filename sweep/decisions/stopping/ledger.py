"""The ledger: which forecasts are worth a flag, so that few of all good trials are lost."""

from __future__ import annotations

from dataclasses import dataclass, replace

ENOUGH = 20
"""Passing configurations from which the forecast may spend the whole allowance. A conformal p-value
of a passer can reach 5 % with no fewer."""


@dataclass(frozen=True)
class Ledger:
    """What a study knows of its good trials. Values are passed in and returned, never changed."""

    risk: float = 0.05
    """Most expected passers that may be flagged, over all expected passers."""
    guard: float = 0.5
    """Until ``ENOUGH`` passers are known, a trial may cost at most ``guard * risk * base``."""
    lost: float = 0.0
    """Expected passers among the trials stopped: the sum of their chances."""
    risked: float = 0.0
    """The same of all flagged trials. The audit's coin spares some: that is the rule's margin."""
    stopped: int = 0
    finished: int = 0
    """Trials run to their end; one a configuration."""
    passed: int = 0
    """Those of them that passed."""

    @property
    def expected(self) -> float:
        """Expected passers so far, half a one added: seen and lost."""
        return self.passed + 0.5 + self.lost

    @property
    def base(self) -> float:
        """The chance that a fresh draw passes."""
        return min(1.0, self.expected / (self.finished + self.stopped + 1))

    @property
    def left(self) -> float:
        """Expected passers that may still be flagged."""
        return max(0.0, self.risk * self.expected - self.risked)

    def ended(self, passed: bool) -> Ledger:
        """The ledger after a trial of a new configuration ran to its end."""
        return replace(self, finished=self.finished + 1, passed=self.passed + int(passed))

    def stop(self, chance: float) -> Ledger:
        """The ledger after a flagged trial was stopped."""
        after = self.flagged(chance)
        return replace(after, stopped=self.stopped + 1, lost=self.lost + chance)

    def flagged(self, chance: float) -> Ledger:
        """The ledger after a trial was flagged that goes on for the audit."""
        return replace(self, risked=self.risked + chance)

    def __str__(self) -> str:
        return (
            f"flagged ones cost {self.risked:.2g} of an expected {self.expected:.3g} passes so far"
        )


@dataclass(frozen=True)
class Flag:
    """Whether to flag a trial, and why, in a clause."""

    raised: bool
    reason: str


def judge(
    ledger: Ledger,
    chance: float | None,
    *,
    least: float = 0.0,
    worth: float = 1.0,
    passes: bool = False,
    spared: bool = False,
) -> Flag:
    """Whether a trial that passes with probability ``chance`` is flagged.

    Flagged are the surest failures only: the expected share of good trials flagged stays within
    ``risk``, ``risked + p <= risk (passed + 1/2 + lost + p)``. Never flagged is a trial that passes
    already, is ``spared`` (named in the study file or by a person), has no forecast (None), or
    is not clearly worse than a fresh draw, ``p > base / 2``. Until ``ENOUGH`` passers are known a
    trial may cost at most ``guard * risk * base`` more than ``least``, the chance of a trial that
    seems sure to fail, since a forecast learnt from few passers cannot vouch for itself. Nor is a
    trial flagged that costs more than ``worth``: what is saved by stopping it now is bought for
    less elsewhere.

    Raises:
        ValueError: ``chance`` is not a probability.
    """
    if chance is not None and not 0 <= chance <= 1:
        raise ValueError(f"chance must be a probability, got {chance}")
    if passes:
        return Flag(False, "it passes already")
    if spared:
        return Flag(False, "it is never stopped: it was asked for by name")
    if chance is None:
        return Flag(False, "there is no forecast yet: too few have ended")
    words = f"it passes with probability {percent(chance)}"
    fresh = f"a new one with {percent(ledger.base)}"
    if chance > ledger.base / 2:
        return Flag(False, f"{words}, {fresh}")
    guard = least + ledger.guard * ledger.risk * ledger.base
    if ledger.passed < ENOUGH and chance > guard:
        known = f"until {ENOUGH} passes are known ({ledger.passed} so far)"
        return Flag(False, f"{words}, {fresh}; {known}, at most {percent(guard)} is risked")
    if chance > worth:
        return Flag(
            False, f"{words}, {fresh}; for what is left of it at most {percent(worth)} is risked"
        )
    after = ledger.stop(chance)
    if after.risked > ledger.risk * after.expected:
        spent = f"to stop it would cost more than {percent(ledger.risk)} of the passes"
        return Flag(False, f"{words}, {fresh}; {spent}: {ledger}")
    return Flag(True, f"{words}, {fresh}; {after}")


def percent(probability: float) -> str:
    """A probability in words.

    >>> [percent(p) for p in (0.0, 0.0004, 0.0123, 0.2, 1.0)]
    ['0 %', '0.04 %', '1.2 %', '20 %', '100 %']
    """
    if 0 < probability < 1e-4:
        return "below 0.01 %"
    return f"{100 * probability:.{3 if probability > 0.99 else 2}g} %"
