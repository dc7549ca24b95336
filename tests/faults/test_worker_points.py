"""A worker that is killed between any two steps of its writing: its successor loses nothing."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from tests.faults.conftest import MakeLab, Undisturbed
from tests.faults.harness import worker_points
from tests.faults.harness.lab import assert_same
from tests.faults.harness.points import Point, points_as_parameters
from tests.faults.test_driver_points import ONE_TRIAL

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")

TRAINED: dict[str, Any] = {**ONE_TRIAL, "thresholds": [{"metric": "ssim_uv", "at_least": -1}]}
"""A study whose only trial passes whatever it learns."""
TRAINER = {"runner": "sweep.launchers.training:train"}


@pytest.mark.parametrize("point", points_as_parameters(worker_points.ALL, every=10))
def test_a_run_whose_worker_dies_here_goes_on_in_another(
    point: Point, make_lab: MakeLab, undisturbed: Undisturbed
) -> None:
    lab = make_lab(**ONE_TRIAL)
    lab.run(worker_point=point)
    assert lab.reached, f"{point} was not reached"
    found = lab.final()
    assert_same(undisturbed(**ONE_TRIAL), found, "/retries", "/deaths")
    assert sum(record["retries"] for record in found["records"].values()) == 1


@pytest.mark.parametrize("point", points_as_parameters(worker_points.OF_THE_TRAINER, every=8))
def test_training_whose_worker_dies_here_goes_on_in_another(
    point: Point, make_lab: MakeLab, undisturbed: Undisturbed
) -> None:
    """With the real trainer: weights, optimisers, metrics, grids and test figures are the same."""
    lab = make_lab(TRAINER, **TRAINED)
    lab.run(worker_point=point)
    assert lab.reached, f"{point} was not reached"
    found = lab.final()
    assert_same(undisturbed(TRAINER, **TRAINED), found, "/retries", "/deaths")
