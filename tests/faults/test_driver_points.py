"""A driver that is killed between any two steps of its writing: the next one loses nothing."""

from __future__ import annotations

import signal
import sys
from typing import Any

import pytest

from tests.faults.conftest import MakeLab, Undisturbed
from tests.faults.harness import driver_points
from tests.faults.harness.lab import assert_same
from tests.faults.harness.points import Point, points_as_parameters

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")

ONE_TRIAL = {
    "trials": 1,
    "stages": {"probe": 2, "full": 2},
    "search": {"queue": ["good"]},
}
"""A study with one trial, which passes: a probe, a full run, and a version in the registry."""
DRAWN: dict[str, Any] = {**ONE_TRIAL, "search": {"queue": []}}
"""The same with a trial that the sampler draws."""


@pytest.mark.parametrize("point", points_as_parameters(driver_points.ALL, every=36))
def test_a_driver_that_dies_here_is_replaced_by_the_same_command(
    point: Point, make_lab: MakeLab, undisturbed: Undisturbed
) -> None:
    lab = make_lab(**ONE_TRIAL)
    first = lab.start(point=point)
    assert first.wait() == -signal.SIGKILL, f"{point} was not reached:\n{first.output}"
    assert lab.reached
    lab.run()
    found = lab.final()
    assert_same(undisturbed(**ONE_TRIAL), found)


@pytest.mark.parametrize("point", points_as_parameters(driver_points.SEARCHED, every=12))
def test_a_driver_that_dies_while_it_draws_a_trial_draws_the_same_one(
    point: Point, make_lab: MakeLab, undisturbed: Undisturbed
) -> None:
    lab = make_lab(**DRAWN)
    first = lab.start(point=point)
    assert first.wait() == -signal.SIGKILL, f"{point} was not reached:\n{first.output}"
    lab.run()
    assert_same(undisturbed(**DRAWN), lab.final())


def test_a_function_that_was_renamed_is_no_point(make_lab: MakeLab) -> None:
    lab = make_lab(**ONE_TRIAL)
    command = lab.start(point=Point("sweep.study.folder:write_no_more", "before"))
    assert command.wait() == 1
    assert not lab.reached
