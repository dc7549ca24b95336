"""The rival forecasts tell runs that will pass from those that will not."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.promotion.policies import RIVALS
from sweep.decisions.stopping.curves import Curves
from sweep.decisions.stopping.outlook import Finished, Kind


def curves(ends: list[float], seed: int) -> Curves:
    """Slacks [n, 20, 2] that saturate at ``ends``."""
    rise = 1 - np.exp(-np.arange(1, 21) / 4)
    first = -1 + (1 + np.array(ends)[:, None]) * rise
    first = first + np.random.default_rng(seed).normal(0, 0.02, first.shape)
    return Curves(np.stack([first, first + 0.1], axis=2))


@pytest.mark.parametrize("name", RIVALS)
def test_good_runs_are_told_from_bad_ones_after_half_their_epochs(name: str) -> None:
    past = curves(list(np.linspace(-0.8, 0.4, 40)), seed=0)
    model = RIVALS[name](Finished(past, np.ones(40)), (), Kind())
    assert model is not None
    bad, good = model.chance(curves([-0.7, 0.35], seed=1), 1, 10)
    assert bad < 0.05 < 0.9 < good


@pytest.mark.parametrize("name", RIVALS)
def test_too_few_runs_make_no_forecast(name: str) -> None:
    assert RIVALS[name](Finished(curves([0.1] * 11, 0), np.ones(11)), (), Kind()) is None
