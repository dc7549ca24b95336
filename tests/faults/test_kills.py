"""Workers, drivers and both at once, killed at random moments of one study."""

from __future__ import annotations

import json
import signal
import sys
from typing import Any

import pytest

from sweep.driving.spending import SPENT
from tests.faults.conftest import MakeLab, Undisturbed
from tests.faults.harness.forks import await_that
from tests.faults.harness.kills import Killer, Victim
from tests.faults.harness.lab import assert_same

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")

LONG: dict[str, Any] = {"trials": 6, "stages": {"probe": 4, "full": 5}}
"""A study of some fifty epochs, long enough for twenty kills."""
REPLICATED: dict[str, Any] = {"trials": 2, "replicates": 2, "search": {"queue": ["good", "better"]}}
"""A study with a calibration, whose full runs are repeated under a second seed."""
BUT = {"worker": ("/retries", "/deaths"), "driver": (), "both": ()}
"""What differs, because the fault must show."""
VICTIMS: tuple[Victim, ...] = ("worker", "driver", "both")


@pytest.mark.parametrize(
    "victim", [*(pytest.param(one, marks=pytest.mark.slow) for one in VICTIMS[:2]), VICTIMS[2]]
)
def test_three_kills_lose_nothing(
    victim: Victim, make_lab: MakeLab, undisturbed: Undisturbed
) -> None:
    lab = make_lab()
    lab.misbehave(sleep=0.3)  # else a fast machine ends the study before the third kill
    assert Killer(lab, victim, seed=0).kill(3) == 3
    found = lab.final()
    assert_same(undisturbed(), found, *BUT[victim])


@pytest.mark.slow
@pytest.mark.parametrize("victim", VICTIMS)
def test_twenty_kills_lose_nothing(
    victim: Victim, make_lab: MakeLab, undisturbed: Undisturbed
) -> None:
    lab = make_lab(**LONG)
    lab.misbehave(sleep=0.3)  # so that the study does not end before the twentieth kill
    assert Killer(lab, victim, seed=0).kill(20) == 20
    found = lab.final()
    assert_same(undisturbed(**LONG), found, *BUT[victim])


@pytest.mark.slow
@pytest.mark.parametrize("victim", VICTIMS)
def test_kills_among_replicates_lose_nothing(
    victim: Victim, make_lab: MakeLab, undisturbed: Undisturbed
) -> None:
    lab = make_lab(**REPLICATED)
    lab.misbehave(sleep=1.0)  # so that the study does not end before the fifth kill
    assert Killer(lab, victim, seed=0).kill(5) == 5
    found = lab.final()
    assert_same(undisturbed(**REPLICATED), found, *BUT[victim])


@pytest.mark.slow
@pytest.mark.parametrize("victim", VICTIMS)
def test_kills_of_workers_that_start_as_a_users_do(
    victim: Victim, make_lab: MakeLab, undisturbed: Undisturbed
) -> None:
    lab = make_lab({"fresh": True})
    assert Killer(lab, victim, seed=0).kill(2) == 2
    found = lab.final()
    assert_same(undisturbed(), found, *BUT[victim])


@pytest.mark.slow
def test_the_time_of_a_killed_calibration_counts_in_the_next_call(make_lab: MakeLab) -> None:
    changes = {**REPLICATED, "stages": {"probe": 12, "full": 13}}
    lab = make_lab(**changes)
    first, folder = lab.start(), lab.study.paths.folder

    def spent() -> dict[str, float]:
        file = folder / SPENT
        return json.loads(file.read_text()) if file.exists() else {"device_seconds": 0.0}

    await_that(lambda: spent()["device_seconds"] > 0.5, "half a second of training")
    first.signal(signal.SIGKILL)
    assert first.wait() == -signal.SIGKILL
    first.kill()  # awaits its workers
    assert not (folder / "calibration.json").exists()
    lab.use(**changes, hours=spent()["seconds"] / 3600)
    output = lab.run()
    assert "the last call did not end as asked" in output
    assert "Time is up" in output
    assert not list(folder.glob("trials/*"))
    assert not (folder / SPENT).exists()
