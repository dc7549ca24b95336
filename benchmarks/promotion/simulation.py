"""Studies drawn from a known law: the ledger's bound and the audit's interval, without curves."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from sweep.decisions.stopping.audit import Evidence, Flagged, audit, coin, share
from sweep.decisions.stopping.ledger import Ledger, judge

STARTUP = 12
TRIALS = 200
SKILL = 3.0
"""Standard deviation of the true log odds: how much better than the base rate a forecast can be."""

ERRORS = {
    "calibrated": (1.0, 1.0),
    "chances a third of the truth": (1 / 3, 1.0),
    "log odds twice as far out": (1.0, 2.0),
    "chances three times the truth": (3.0, 1.0),
}
"""Factor on the odds, and on the log odds, that the ledger is told."""


@dataclass(frozen=True)
class Outcome:
    """What came of one study."""

    good: int
    lost: int
    raised: bool
    covered: bool
    width: float
    stopped: int


def rows(studies: int, seed: int) -> Iterator[str]:
    """A line of text for each error and pass rate."""
    for name, (factor, power) in ERRORS.items():
        for rate in (0.03, 0.1, 0.3):
            rng = np.random.default_rng(seed)
            shift = _shift(rate)
            made = [study(rng, shift, factor, power, number) for number in range(studies)]
            good, lost = sum(one.good for one in made), sum(one.lost for one in made)
            shares = [one.lost / one.good for one in made if one.good]
            error = float(np.std(shares) / np.sqrt(len(shares)))
            yield (
                f"{name}, {rate:.0%} pass: lost {lost / good:.1%} of all good trials, "
                f"{np.mean(shares):.1%} +- {error:.1%} in the mean study; "
                f"stopped {np.mean([one.stopped for one in made]) / TRIALS:.0%} of the trials; "
                f"audit covers {np.mean([one.covered for one in made]):.1%}, "
                f"width {np.mean([one.width for one in made]):.0%}; "
                f"chances raised in {np.mean([one.raised for one in made]):.1%}"
            )


def study(
    rng: np.random.Generator, shift: float, factor: float, power: float, number: int
) -> Outcome:
    """One study of ``TRIALS`` trials, with audit, its forecast off as stated."""
    ledger, evidence, flagged = Ledger(), Evidence(), list[Flagged]()
    good = lost = unflagged = 0
    for trial in range(TRIALS):
        odds = shift + SKILL * rng.normal()
        passes = bool(rng.random() < 1 / (1 + np.exp(-odds)))
        good += passes
        told = 1 / (1 + np.exp(-(power * odds + np.log(factor))))
        chance = evidence.raise_chance(float(told))
        if trial < STARTUP or not judge(ledger, chance).raised:
            unflagged += passes
            ledger = ledger.ended(passes)
            continue
        q = share(len(flagged))
        if coin(number, trial) < q:
            flagged.append(Flagged(chance, q, passes))
            ledger = ledger.flagged(chance).ended(passes)
            evidence = evidence.after(chance, passes)
        else:
            flagged.append(Flagged(chance, q))
            ledger, lost = ledger.stop(chance), lost + passes
    told_audit = audit(flagged, unflagged)
    truth = lost / good if good else 0.0
    return Outcome(
        good=good,
        lost=lost,
        raised=evidence.raised > 0,
        covered=told_audit.low - 1e-12 <= truth <= told_audit.high + 1e-12,
        width=told_audit.high - told_audit.low,
        stopped=ledger.stopped,
    )


def _shift(rate: float) -> float:
    """The mean log odds with which the share ``rate`` passes."""
    draws = SKILL * np.random.default_rng(0).normal(size=20_000)
    low, high = -30.0, 10.0
    for _ in range(40):
        middle = (low + high) / 2
        passing = float(np.mean(1 / (1 + np.exp(-(middle + draws)))))
        low, high = (middle, high) if passing < rate else (low, middle)
    return (low + high) / 2
