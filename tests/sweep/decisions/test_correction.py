"""Chances are corrected by what became of finished runs, in the bulk and in the tail."""

from __future__ import annotations

import numpy as np
import pytest

from sweep.decisions.stopping.correction import recalibration, unforeseen


def test_without_evidence_the_correction_changes_the_likeliest_value_little() -> None:
    half = np.arange(20) % 2 == 0
    made = recalibration(np.full(20, 0.5), half, averaged=False)
    assert made.chance(np.array([0.1, 0.5, 0.9])) == pytest.approx([0.1, 0.5, 0.9], abs=1e-6)


def test_one_passer_of_thirty_cannot_vouch_for_a_chance_of_a_ten_thousandth() -> None:
    p = np.r_[0.6, np.full(29, 1e-4)]
    first = np.arange(30) == 0
    assert recalibration(p, first).chance(np.array([1e-4]))[0] > 3e-4
    assert recalibration(p, first, averaged=False).chance(np.array([1e-4]))[0] < 3e-4


def test_forecasts_that_were_too_sure_are_drawn_to_the_middle() -> None:
    rng = np.random.default_rng(0)
    truth = rng.uniform(0.1, 0.9, size=300)
    passed = rng.random(300) < truth
    sure = 1 / (1 + ((1 - truth) / truth) ** 3)
    assert recalibration(sure, passed).chance(np.array([0.01]))[0] > 0.05


def runs(known: int, hopeless: int, leapt: int) -> tuple[np.ndarray, np.ndarray]:
    """Chances and ends: ``known`` passers that were foreseen, and runs that looked hopeless."""
    passed = np.r_[np.ones(known, bool), np.arange(hopeless) < leapt]
    return np.r_[np.full(known, 0.9), np.full(hopeless, 1e-5)], passed


def test_with_many_runs_the_least_chance_is_the_share_of_the_hopeless_that_passed() -> None:
    chances, passed = runs(known=200, hopeless=1000, leapt=20)
    assert unforeseen(chances, passed, base=220 / 1200) == pytest.approx(0.02, rel=0.15)


def test_without_a_run_the_least_chance_is_a_tenth_of_a_fresh_draws() -> None:
    nothing = np.empty(0)
    assert unforeseen(nothing, nothing.astype(bool), base=0.3) == pytest.approx(0.03, rel=0.02)


def test_hopeless_runs_that_fail_lower_the_least_chance_and_one_that_passes_raises_it() -> None:
    base = 0.2
    few, many = (unforeseen(*runs(10, n, 0), base) for n in (40, 400))
    one = unforeseen(*runs(10, 40, 1), base)
    assert many < few < unforeseen(*runs(10, 0, 0), base) < one
    # Nor can a run of which nothing is known: with a passer and four bad ones it stays near prior.
    assert unforeseen(*runs(1, 4, 0), base) > 0.08 * base
