"""Runs that still rise at a look, counted."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from click.testing import CliRunner

from benchmarks.promotion.kinds import main, shares
from benchmarks.promotion.task import load

OWN = Path(__file__).parents[2] / "benchmarks" / "promotion" / "curves" / "probe.npz"


def test_the_shares_are_of_runs_that_have_not_passed_by_the_look() -> None:
    task = load(OWN, 0.3)
    failing, good, number = shares(task, 0)
    waiting = task.passes & (task.joint[:, :3].max(axis=1) < 0)
    assert number == waiting.sum() > 0
    assert 0 < failing < 1
    assert 0 < good < 1


def test_without_a_good_run_there_is_no_share_of_them() -> None:
    task = load(OWN, 0.3)
    _, good, number = shares(replace(task, passes=np.zeros_like(task.passes)), 0)
    assert number == 0
    assert np.isnan(good)


def test_the_table_has_a_row_for_each_pass_rate() -> None:
    told = CliRunner().invoke(main, [str(OWN)])
    assert told.exit_code == 0
    rows = told.output.splitlines()[2:]
    assert [row.split(" | ")[1] for row in rows] == ["3%", "10%", "30%"]


def test_a_missing_file_is_told() -> None:
    told = CliRunner().invoke(main, ["absent.npz"])
    assert told.exit_code == 2
    assert "absent.npz" in told.output
