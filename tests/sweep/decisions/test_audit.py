"""The audit: coins, the false-prune rate with its interval, evidence against the forecast."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from sweep.decisions.stopping.audit import (
    FIRST,
    Evidence,
    Flagged,
    audit,
    coin,
    lost_interval,
    more_audits,
    share,
)


def test_coins_are_fair_and_differ_by_study_and_trial() -> None:
    coins = [coin(seed, trial) for seed in range(20) for trial in range(100)]
    assert stats.kstest(coins, "uniform").pvalue > 0.01
    assert len(set(coins)) == len(coins)
    assert coin(3, 7) == coin(3, 7)


def test_three_in_ten_of_the_first_thirty_are_audited_then_one_in_ten() -> None:
    assert [share(0), share(FIRST - 1), share(FIRST)] == [0.3, 0.3, 0.1]


flagged = st.builds(
    Flagged,
    chance=st.floats(0, 0.3),
    share=st.sampled_from([0.1, 0.3]),
    passed=st.sampled_from([None, None, None, True, False]),
)


@given(st.lists(flagged, max_size=30), st.integers(0, 30))
def test_rates_are_shares_and_the_interval_is_ordered(trials: list[Flagged], passed: int) -> None:
    told = audit(trials, passed)
    assert 0 <= told.low <= told.high <= 1
    assert 0 <= told.estimate <= 1
    low, high = lost_interval(trials)
    assert 0 <= low <= high <= told.flagged - told.audited


def test_with_all_flagged_audited_nothing_is_lost() -> None:
    told = audit([Flagged(0.1, 0.3, passed=True), Flagged(0.1, 0.3, passed=False)], 5)
    assert (told.estimate, told.low, told.high) == (0, 0, 0)


def test_with_none_audited_anything_may_be_lost() -> None:
    told = audit([Flagged(0.01, 0.1)] * 20, 20)
    assert told.low == 0
    assert told.high == pytest.approx(0.5)
    assert told.estimate == pytest.approx(0.2 / 20.2)


def test_the_estimate_is_right_on_average_whatever_the_forecast() -> None:
    rng = np.random.default_rng(0)
    good = rng.random(60) < 0.2
    estimates = []
    for _ in range(400):
        coins = rng.random(60) < 0.3
        trials = [
            Flagged(0.02, 0.3, bool(y) if heads else None)
            for y, heads in zip(good, coins, strict=True)
        ]
        found = sum(bool(one.passed) for one in trials)
        estimates.append(
            sum(t.chance for t in trials)
            + sum(
                (float(bool(t.passed)) - t.chance) / t.share for t in trials if t.passed is not None
            )
            - found
            - (good.sum() - found)
        )
    assert abs(np.mean(estimates)) < 3 * np.std(estimates) / 20


@pytest.mark.parametrize("good", [0, 3, 12])
def test_the_interval_covers_the_good_trials_lost(good: int) -> None:
    rng = np.random.default_rng(good)
    covered = 0
    for _ in range(200):
        passes = rng.permutation(np.arange(80) < good)
        trials = [
            Flagged(0.01, share(i), bool(y) if rng.random() < share(i) else None)
            for i, y in enumerate(passes)
        ]
        lost = sum(bool(y) for y, t in zip(passes, trials, strict=True) if t.passed is None)
        low, high = lost_interval(trials)
        covered += low <= lost <= high
    assert covered >= 0.95 * 200 - 3 * np.sqrt(200 * 0.95 * 0.05)


def test_the_interval_needs_at_most_two_shares() -> None:
    with pytest.raises(ValueError, match="two shares, got 3"):
        lost_interval([Flagged(0.1, q) for q in (0.1, 0.2, 0.3)])


def test_more_audits_are_wanted_until_the_upper_bound_is_five_percent() -> None:
    few, many = more_audits(30, 9, 0, 20), more_audits(300, 150, 0, 200)
    assert few is not None
    assert few > 0
    assert many == 0
    assert more_audits(0, 0, 0, 10) is None


def test_an_audit_reads_as_a_sentence() -> None:
    trials = [Flagged(0.04, 0.3, False, 13)] * 8 + [Flagged(0.04, 0.3)] * 22
    assert str(audit(trials, 40)).startswith(
        "30 flagged, 8 of them audited, 0 of these passed: 0.3% of the good trials lost (95 % "
    )
    assert str(audit(trials, 40)).endswith("for 104 extra epochs")


def test_right_chances_are_raised_in_at_most_one_study_of_twenty() -> None:
    rng = np.random.default_rng(0)
    raised = 0
    for _ in range(400):
        evidence = Evidence()
        for chance in rng.uniform(0.001, 0.2, size=60):
            evidence = evidence.after(chance, bool(rng.random() < chance))
        raised += evidence.raised > 0
    assert raised <= 0.05 * 400 + 2 * np.sqrt(400 * 0.05 * 0.95)


def test_chances_ten_times_too_small_are_raised_and_told() -> None:
    rng = np.random.default_rng(0)
    evidence = Evidence()
    for _ in range(60):
        evidence = evidence.after(evidence.raise_chance(0.02), bool(rng.random() < 0.2))
    assert evidence.raise_chance(0.02) >= 0.06
    assert "times as large" in str(evidence)
    assert str(Evidence()) == "no evidence that the chances are too small"


@given(st.floats(0, 1), st.integers(0, 5))
def test_a_raised_chance_is_a_probability(chance: float, raised: int) -> None:
    assert chance <= Evidence(1.0, 3.0**raised, raised).raise_chance(chance) <= 1
