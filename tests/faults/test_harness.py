"""The harness itself: two undisturbed studies are the same, and a change is seen."""

from __future__ import annotations

from typing import Any

import pytest

from tests.faults.conftest import MakeLab, Undisturbed
from tests.faults.harness.lab import Lab, assert_same
from tests.faults.harness.snapshot import difference


@pytest.mark.slow
def test_two_undisturbed_studies_are_the_same(undisturbed: Undisturbed, lab: Lab) -> None:
    lab.run()
    found = lab.final()
    assert_same(undisturbed(), found)
    states = {name: run["state"] for name, run in found["records"].items()}
    assert states["0000/probe"] == "complete"
    assert states["0001/probe"] == states["0002/probe"] == "promoted"
    assert states["0001/full"] == states["0002/full"] == "complete"
    assert found["mlflow"]["aliases"]["champion"] in ("1", "2")


def test_a_difference_is_said_by_place_and_values() -> None:
    one: dict[str, Any] = {"runs": {"0": {"status": "FINISHED", "epochs": 3}, "1": {}}}
    other: dict[str, Any] = {"runs": {"0": {"status": "RUNNING", "epochs": 3}, "2": {}}}
    assert difference(one, other) == [
        '/runs/0/status: "FINISHED" -> "RUNNING"',
        "/runs/1: is missing, was {}",
        "/runs/2: is new: {}",
    ]
    assert difference(one, one) == []


def test_a_file_that_changed_is_a_difference(make_lab: MakeLab, undisturbed: Undisturbed) -> None:
    lab = make_lab()
    lab.run()
    run_dir = lab.study.paths.run_dir(0, "probe")
    (run_dir / "checkpoints" / "best.safetensors").unlink()
    (run_dir / ".trial.json.00000000.part").touch()
    lines = difference(undisturbed(), lab.snapshot())
    assert [line.partition(": ")[2][:10] for line in lines] == ['is new: "e', "is missing"], lines
