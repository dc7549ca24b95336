"""Chances are corrected by what became of finished runs."""

from __future__ import annotations

import numpy as np
import pytest

from sweep.decisions.stopping.correction import Correction, recalibration


def chance(made: Correction, *p: float) -> np.ndarray:
    return made.chance(np.array(p), np.zeros(len(p), bool))


def test_without_evidence_the_correction_changes_the_likeliest_value_little() -> None:
    half = np.arange(20) % 2 == 0
    made = recalibration(np.full(20, 0.5), half, averaged=False)
    assert chance(made, 0.1, 0.5, 0.9) == pytest.approx([0.1, 0.5, 0.9], abs=1e-6)


def test_one_passer_of_thirty_cannot_vouch_for_a_chance_of_a_ten_thousandth() -> None:
    p = np.r_[0.6, np.full(29, 1e-4)]
    first = np.arange(30) == 0
    assert chance(recalibration(p, first), 1e-4)[0] > 3e-4
    assert chance(recalibration(p, first, averaged=False), 1e-4)[0] < 3e-4


def test_forecasts_that_were_too_sure_are_drawn_to_the_middle() -> None:
    rng = np.random.default_rng(0)
    truth = rng.uniform(0.1, 0.9, size=300)
    passed = rng.random(300) < truth
    sure = 1 / (1 + ((1 - truth) / truth) ** 3)
    assert chance(recalibration(sure, passed), 0.01)[0] > 0.05
