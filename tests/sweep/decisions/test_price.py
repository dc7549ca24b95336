"""The price: what an allowance buys."""

from __future__ import annotations

import itertools
import math

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweep.decisions.stopping.price import Offers

REMAINING = np.array([0.65, 0.5, 0.35, 0.2])


def offers(chances: npt.ArrayLike, weights: npt.ArrayLike | None = None) -> Offers:
    table = np.array(chances, dtype=np.float64)
    given_weights = np.ones(table.shape[1]) if weights is None else np.array(weights, np.float64)
    return Offers(table, REMAINING[: len(table)], given_weights)


def bought(offer: Offers, price: float) -> float:
    """The shares saved at a price, each run flagged at its first look that costs no more."""
    saved = 0.0
    for run in offer.chances.T:
        affordable = run / offer.remaining <= price
        saved += offer.remaining[affordable.argmax()] if affordable.any() else 0.0
    return saved


def test_if_all_can_be_afforded_there_is_no_price() -> None:
    assert offers([[0.01, 0.02], [0.01, 0.02]]).price(0.04) == math.inf


def test_the_price_is_that_of_the_first_run_that_can_no_longer_be_afforded() -> None:
    assert offers([[0.1, 0.2]]).price(0.05) == pytest.approx(0.1 / 0.65)
    assert offers([[0.1, 0.2]]).price(0.15) == pytest.approx(0.2 / 0.65)


def test_runs_that_cost_the_same_are_on_offer_though_not_all_can_be_afforded() -> None:
    assert offers([[0.01] * 50]).price(0.1) == pytest.approx(0.01 / 0.65)


def test_of_flags_that_risk_the_same_the_one_that_saves_more_is_bought() -> None:
    late_only = [[math.inf, 0.02], [math.inf, math.inf], [math.inf, math.inf], [0.02, math.inf]]
    price = offers(late_only).price(0.01)
    assert price == pytest.approx(0.02 / 0.65)


def test_an_audited_run_stands_for_those_that_were_stopped() -> None:
    chances = [[0.01, 0.02]]
    assert offers(chances).price(0.035) == math.inf
    assert offers(chances, weights=[1, 10]).price(0.035) == pytest.approx(0.02 / 0.65)


@given(
    st.lists(st.lists(st.floats(0.001, 0.2), min_size=2, max_size=2), min_size=1, max_size=6),
    st.floats(0.0, 0.5),
)
def test_no_choice_of_flags_within_the_allowance_saves_more(
    runs: list[list[float]], allowance: float
) -> None:
    """All choices of one look for each run, or none, are tried; a later look never risks less."""
    offer = offers(np.sort(np.array(runs), axis=1).T)
    looks = [None, 0, 1]
    best = 0.0
    for choice in itertools.product(looks, repeat=len(runs)):
        taken = [(look, run) for run, look in enumerate(choice) if look is not None]
        if sum(offer.chances[look, run] for look, run in taken) <= allowance:
            best = max(best, sum(REMAINING[look] for look, _ in taken))
    price = offer.price(allowance)
    most = len(runs) * REMAINING[0] if math.isinf(price) else bought(offer, price)
    assert most >= best - 1e-9
