"""Good runs that no forecast foresees are counted with, among the runs of their kind."""

from __future__ import annotations

import numpy as np
import pytest

from sweep.decisions.stopping.least_chance import least_chances, odds_by_kind
from sweep.decisions.stopping.ledger import ENOUGH


def least(known: int, hopeless: int, leapt: int, base: float) -> float:
    """The least chance after ``known`` passers that were foreseen, and runs that looked hopeless.

    All runs settled, and means are taken.
    """
    passed = np.r_[np.ones(known, bool), np.arange(hopeless) < leapt]
    chances = np.r_[np.full(known, 0.9), np.full(hopeless, 1e-5)]
    settled = np.zeros(len(passed), bool)
    return least_chances(chances, passed, settled, ~settled, base, split=False, careful=False)[0]


def careful(known: int, kind: bool) -> float:
    """How many times its mean the least chance is after ``known`` passers and 60 bad runs."""
    passed = np.arange(known + 60) < known
    chances = np.where(passed, 0.9, 1e-5)
    settled = np.zeros(len(passed), bool)
    told = [
        least_chances(chances, passed, settled, ~settled, 0.2, careful=one)[kind]
        for one in (True, False)
    ]
    return told[0] / told[1]


def test_with_many_runs_the_least_chance_is_the_share_of_the_hopeless_that_passed() -> None:
    assert least(known=200, hopeless=1000, leapt=20, base=220 / 1200) == pytest.approx(
        0.02, rel=0.15
    )


def test_without_a_run_the_least_chance_is_a_tenth_of_a_fresh_draws() -> None:
    assert least(0, 0, 0, base=0.3) == pytest.approx(0.03, rel=0.02)


def test_hopeless_runs_that_fail_lower_the_least_chance_and_one_that_passes_raises_it() -> None:
    few, many = (least(10, hopeless, 0, base=0.2) for hopeless in (40, 400))
    assert many < few < least(10, 0, 0, base=0.2) < least(10, 40, 1, base=0.2)
    # Nor can a run of which nothing is known: with a passer and four bad ones it stays near prior.
    assert least(1, 4, 0, base=0.2) > 0.08 * 0.2


def test_where_every_good_run_rose_a_settled_one_costs_next_to_nothing() -> None:
    passed = np.arange(100) < 10
    rising = passed | (np.arange(100) >= 60)
    chances = np.where(passed, 0.9, 1e-5)
    settled, rises = least_chances(chances, passed, rising, np.ones(100, bool), 0.1)
    assert settled < 0.1 * rises
    alike = least_chances(chances, passed, rising, np.ones(100, bool), 0.1, split=False)
    assert alike[0] == alike[1]
    assert settled < alike[0] < rises


def test_odds_of_a_kind_are_one_until_good_runs_are_known_and_count_open_runs_only() -> None:
    rising = np.arange(40) % 4 == 0
    none = np.zeros(40, bool)
    assert odds_by_kind(rising, none, ~none) == pytest.approx([1, 1])
    assert odds_by_kind(none[:0], none[:0], none[:0]) == pytest.approx([1, 1])
    assert odds_by_kind(rising, rising, ~rising) == pytest.approx([1, 1])
    settled, rises = odds_by_kind(rising, rising, ~none)
    assert settled < 0.2
    assert 3 < rises < 4
    # Over all open runs they are one again.
    share = (10 + 0.5) / 41
    assert share * rises + (1 - share) * settled == pytest.approx(1)


@pytest.mark.parametrize("kind", [False, True])
def test_the_fewer_passers_are_known_the_more_is_added_to_the_mean(kind: bool) -> None:
    few, more, nearly, enough = (careful(n, kind) for n in (1, 10, ENOUGH - 1, ENOUGH))
    assert few > more > nearly > enough == 1
    assert few < 2.5


def test_chances_of_one_and_kinds_without_a_run_are_numbers() -> None:
    with np.errstate(all="raise"):
        told = least_chances(
            np.ones(12), np.arange(12) < 6, np.ones(12, bool), np.ones(12, bool), base=0.99
        )
    assert all(0 <= one <= 1 for one in told)
