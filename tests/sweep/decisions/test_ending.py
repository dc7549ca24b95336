"""The early end of a study in which nothing passes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweep.decisions.ending import LEAST, fresh_draw, judge_ending

count = st.integers(1, 200)


def test_stated_probability_is_that_of_the_simulated_studies() -> None:
    rng = np.random.default_rng(1)
    rates = rng.beta(0.5, 0.5, 400_000)
    none_so_far = (1 - rates) ** 10
    passes_later = 1 - (1 - rates) ** 4
    simulated = (none_so_far * passes_later).sum() / none_so_far.sum()
    assert judge_ending(10, 4).probability == pytest.approx(simulated, abs=0.005)


@given(count, count)
def test_study_ends_exactly_when_a_pass_has_become_improbable(done: int, left: int) -> None:
    ending = judge_ending(done, left)
    assert ending.end == (ending.probability < LEAST)
    assert ("ends early" in ending.reason) == ending.end


@given(count, count)
def test_more_probes_without_a_pass_make_a_pass_less_probable(done: int, left: int) -> None:
    assert judge_ending(done + 1, left).probability < judge_ending(done, left).probability
    assert judge_ending(done, left + 1).probability > judge_ending(done, left).probability


@given(count, count, st.floats(0, 1), st.floats(0, 1))
def test_better_forecast_never_ends_earlier(done: int, left: int, one: float, other: float) -> None:
    poor, good = sorted((one, other))
    least, most = (judge_ending(done, left, fresh=p).probability for p in (poor, good))
    assert least <= most + 1e-12


@given(count, count, st.floats(0, 1))
def test_passes_among_the_pruned_keep_the_study_going(done: int, left: int, share: float) -> None:
    lost = share * done
    assert judge_ending(done, left, lost).probability >= judge_ending(done, left).probability - 1e-9


def test_without_a_forecast_only_the_last_ninth_can_be_saved() -> None:
    assert judge_ending(90, 9).end
    assert not judge_ending(90, 10).end


def test_hopeless_forecast_ends_a_study_at_once_and_says_so() -> None:
    ending = judge_ending(10, 50, fresh=0.001)
    assert ending.end
    assert "None of 10 probes passed" in ending.reason
    assert "50 remaining" in ending.reason


def test_study_without_a_finished_probe_never_ends() -> None:
    assert not judge_ending(0, 5, fresh=0.0).end


def test_fresh_draw_is_students_predictive_probability() -> None:
    assert fresh_draw([-1.0, 0.0, 1.0]) == pytest.approx(0.5)
    hopeless, near = fresh_draw([-9.0, -10.0, -11.0, -10.0]), fresh_draw([-1.0, -2.0, 0.5, -1.0])
    assert hopeless is not None
    assert near is not None
    assert hopeless < 0.01 < 0.1 < near


@pytest.mark.parametrize("margins", [[], [-1.0, -2.0], [-1.0] * 5, [-1.0, float("-inf"), -2.0]])
def test_fresh_draw_says_nothing_where_the_margins_say_nothing(margins: list[float]) -> None:
    assert fresh_draw(margins) is None


@pytest.mark.parametrize("values", [(-1, 2, 0.0, None), (3, 2, 4.0, None), (3, 2, 0.0, 1.5)])
def test_impossible_counts_are_refused(values: tuple[int, int, float, float | None]) -> None:
    with pytest.raises(ValueError, match="must be"):
        judge_ending(*values)
