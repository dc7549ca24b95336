"""The forecast of a study's cost."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.cost import coverage
from sweep.decisions.cost import Ahead, Cost, Seen, forecast_cost

AHEAD = Ahead(probes=30, probe_epochs=20, full_epochs=40, most_replicates=5, devices=1)
SEEN = Seen(epoch_seconds=[10.0, 11.0, 9.0, 10.5])


def cost(ahead: Ahead = AHEAD, seen: Seen = SEEN, draws: int = 300) -> Cost:
    return forecast_cost(ahead, seen, np.random.default_rng(0), draws)


def test_probes_alone_cost_their_epochs() -> None:
    sure = replace(SEEN, probes=10_000, shares=[1.0] * 30)
    found = cost(replace(AHEAD, probes=36), sure)
    # 36 probes x 20 epochs x 10.1 s = 2.02 h
    assert found.device_hours.median == pytest.approx(2.02, rel=0.05)
    assert found.hours == found.device_hours


def test_nothing_ahead_costs_nothing() -> None:
    assert cost(replace(AHEAD, probes=0)).device_hours.high == 0


def test_more_devices_take_less_time_and_the_same_device_time() -> None:
    one, four = cost(), cost(replace(AHEAD, devices=4))
    assert four.device_hours == one.device_hours
    assert one.hours.median / 4 <= four.hours.median < one.hours.median


def test_runs_in_progress_and_waiting_candidates_count() -> None:
    rest = replace(AHEAD, probes=0, started_epochs=36)
    assert cost(rest).device_hours.median == pytest.approx(0.1, rel=0.1)
    waiting = replace(AHEAD, probes=0, candidates=1)
    certain = replace(SEEN, replicates=[3])
    assert cost(waiting, certain).device_hours.median == pytest.approx(120 * 10 / 3600, rel=0.1)


def test_candidate_that_had_some_replicates_is_expected_to_need_the_rest() -> None:
    rest = replace(AHEAD, probes=0, begun=[2])
    known = replace(SEEN, replicates=[1, 5, 5])  # it is past one already
    assert cost(rest, known).device_hours.median == pytest.approx(3 * 40 * 10 / 3600, rel=0.1)
    done = replace(SEEN, replicates=[2])
    assert cost(rest, done).device_hours.high == 0


def test_undecided_comparison_costs_one_full_run_at_least() -> None:
    rest = replace(AHEAD, probes=0, compared=[1, 0])
    assert cost(rest).device_hours.median == pytest.approx(40 * 10 / 3600, rel=0.1)
    assert cost(replace(rest, compared=[3])).device_hours.high > 2 * 40 * 10 / 3600


def test_seen_pruning_makes_the_rest_cheaper() -> None:
    pruned = replace(SEEN, probes=30, shares=[1.0] * 20 + [0.35] * 10)
    kept = replace(pruned, shares=[1.0] * 30)
    assert cost(seen=pruned).device_hours.median < 0.7 * cost(seen=kept).device_hours.median


def test_study_that_may_not_prune_is_expected_to_run_every_epoch() -> None:
    sure = replace(SEEN, probes=10_000)
    whole = cost(replace(AHEAD, prunes=False), sure)
    assert whole.device_hours.median > 1.3 * cost(seen=sure).device_hours.median


def test_forecast_in_words_names_both_costs_and_the_interval() -> None:
    assert "device-hours" in str(cost())
    assert "90%" in str(cost())


@settings(max_examples=20)
@given(st.integers(0, 40), st.integers(1, 8), st.integers(0, 3))
def test_interval_is_ordered_and_hours_never_exceed_device_hours(
    probes: int, devices: int, candidates: int
) -> None:
    ahead = replace(AHEAD, probes=probes, devices=devices, candidates=candidates)
    found = cost(ahead, draws=50)
    for interval in (found.hours, found.device_hours):
        assert 0 <= interval.low <= interval.median <= interval.high
    assert found.hours.high <= found.device_hours.high


def test_forecast_without_a_measured_epoch_is_refused() -> None:
    with pytest.raises(ValueError, match="measured epoch"):
        cost(seen=Seen(epoch_seconds=[]))


def test_interval_covers_simulated_studies_about_as_often_as_it_says() -> None:
    assert coverage(60, np.random.default_rng(2), draws=200).covered >= 0.8
