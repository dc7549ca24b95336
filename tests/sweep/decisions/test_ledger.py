"""The ledger: few of all good trials are lost, whatever their share."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweep.decisions.stopping.ledger import ENOUGH, Ledger, judge

chances = st.floats(0, 1)


@given(
    st.lists(st.tuples(chances, st.booleans(), st.booleans()), max_size=120), st.floats(0.01, 0.3)
)
def test_expected_share_flagged_never_exceeds_the_risk(
    trials: list[tuple[float, bool, bool]], risk: float
) -> None:
    ledger = Ledger(risk)
    for chance, passes, audited in trials:
        if not judge(ledger, chance).raised:
            ledger = ledger.ended(passes)
        else:
            ledger = ledger.flagged(chance).ended(passes) if audited else ledger.stop(chance)
        assert ledger.lost <= ledger.risked <= risk * ledger.expected + 1e-12


@given(chances, st.integers(0, 100), st.integers(0, 100))
def test_a_trial_no_worse_than_a_fresh_draw_is_never_flagged(
    chance: float, passed: int, failed: int
) -> None:
    ledger = Ledger(1.0, finished=passed + failed, passed=passed)
    assert judge(ledger, chance).raised <= (chance <= ledger.base / 2)


@given(st.integers(ENOUGH, 100), st.integers(0, 400), chances, chances)
def test_a_surer_failure_is_flagged_where_a_less_sure_one_is(
    passed: int, failed: int, one: float, other: float
) -> None:
    ledger = Ledger(finished=passed + failed, passed=passed)
    low, high = sorted((one, other))
    assert judge(ledger, low).raised >= judge(ledger, high).raised


@pytest.mark.parametrize("protected", [{"passes": True}, {"spared": True}])
def test_a_trial_that_passes_already_or_is_spared_is_never_flagged(
    protected: dict[str, bool],
) -> None:
    assert judge(Ledger(finished=100, passed=30), 0.0).raised
    assert not judge(Ledger(finished=100, passed=30), 0.0, **protected).raised


def test_a_flag_that_costs_more_than_it_is_worth_waits_for_a_better_one() -> None:
    ledger = Ledger(finished=100, passed=30)
    assert judge(ledger, 0.01, worth=0.01).raised
    dear = judge(ledger, 0.01, worth=0.005)
    assert (dear.raised, dear.reason) == (
        False,
        "it passes with probability 1 %, a new one with 30 %; "
        "for what is left of it at most 0.5 % is risked",
    )


@given(st.lists(chances, max_size=40), st.floats(0.01, 0.3))
def test_what_is_left_of_the_allowance_is_never_less_than_nothing(
    flags: list[float], risk: float
) -> None:
    ledger = Ledger(risk)
    for chance in flags:
        ledger = ledger.flagged(chance)
        assert 0 <= ledger.left <= risk * ledger.expected


def test_without_a_forecast_nothing_is_flagged() -> None:
    flag = judge(Ledger(finished=100, passed=30), None)
    assert (flag.raised, flag.reason) == (False, "there is no forecast yet: too few have ended")


def test_with_few_passers_a_trial_may_cost_no_more_than_its_share() -> None:
    few, many = Ledger(finished=40, passed=4), Ledger(finished=200, passed=ENOUGH)
    assert not judge(few, 0.01).raised
    assert judge(many, 0.01).raised
    assert "until 20 passes are known (4 so far), at most " in judge(few, 0.01).reason


def test_what_every_trial_costs_is_no_reason_of_the_guard_but_is_paid_for() -> None:
    few = Ledger(finished=40, passed=4)
    assert judge(few, 0.011, least=0.0095).raised
    assert not judge(few, 0.011).raised
    assert not judge(few, 0.02, least=0.0095).raised
    spent = few
    while judge(spent, 0.011, least=0.0095).raised:
        spent = spent.stop(0.011)
    assert 0.2 < spent.risked <= 0.05 * spent.expected
    assert "to stop it would cost more than 5 %" in judge(spent, 0.011, least=0.0095).reason


def test_reasons_say_what_was_lost_of_what() -> None:
    ledger = Ledger(finished=60, passed=25).stop(0.4)
    assert str(ledger) == "flagged ones cost 0.4 of an expected 25.9 passes so far"
    assert judge(ledger, 0.001).reason == (
        "it passes with probability 0.1 %, a new one with 42 %; flagged ones cost 0.4 of an "
        "expected 25.9 passes so far"
    )
    spent = judge(Ledger(finished=60, passed=25).stop(1.3), 0.1).reason
    assert "to stop it would cost more than 5 % of the passes: flagged ones cost 1.3" in spent


@pytest.mark.parametrize("chance", [-0.1, 1.1, float("nan")])
def test_what_is_no_probability_is_refused(chance: float) -> None:
    with pytest.raises(ValueError, match="must be a probability"):
        judge(Ledger(), chance)


def lost_and_good(rng: np.random.Generator, rate: float, error: float) -> tuple[int, int]:
    """Good trials lost and all good ones of a study whose forecast is off by ``error`` in log."""
    ledger, lost, good = Ledger(0.05), 0, 0
    for _ in range(150):
        skill = rng.normal(0, 3)
        true = 1 / (1 + np.exp(-(np.log(rate / (1 - rate)) - 3 + skill)))
        told = float(np.clip(true * np.exp(-error), 0, 1))
        passes = bool(rng.random() < true)
        good += passes
        if ledger.finished >= 20 and judge(ledger, told).raised:
            lost += passes
            ledger = ledger.stop(told)
        else:
            ledger = ledger.ended(passes)
    return lost, good


@pytest.mark.parametrize("rate", [0.03, 0.1, 0.3])
def test_under_a_calibrated_forecast_at_most_the_risk_is_lost(rate: float) -> None:
    rng = np.random.default_rng(0)
    lost, good = np.sum([lost_and_good(rng, rate, 0.0) for _ in range(60)], axis=0)
    assert lost <= 0.05 * good + 2 * np.sqrt(0.05 * good)


def test_chances_three_times_too_small_lose_at_most_three_times_the_risk() -> None:
    rng = np.random.default_rng(1)
    lost, good = np.sum([lost_and_good(rng, 0.3, np.log(3)) for _ in range(60)], axis=0)
    assert lost <= 0.15 * good + 2 * np.sqrt(0.15 * good)
