"""Recording curves of our own: what is drawn, and the table in the repository."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.promotion import record
from benchmarks.promotion.task import load
from sweep.study.file import load as load_study
from uvtex.errors import ConfigError

FOLDER = Path(record.__file__).parent


def test_the_plan_repeats_every_second_schedule_and_draws_the_same_again(tmp_path: Path) -> None:
    study = load_study(FOLDER / "curves.yaml")
    runs = record.plan(study, tmp_path, schedules=4, repeat_every=2, seeds=3)
    assert runs == record.plan(study, tmp_path, schedules=4, repeat_every=2, seeds=3)
    seeds = [len({run.seed for run in runs if run.number == number}) for number in range(4)]
    assert seeds == [3, 1, 3, 1]
    assert len({run.path for run in runs}) == len(runs) == 16


def test_nothing_is_packed_before_a_run_is_done(tmp_path: Path) -> None:
    runs = record.plan(load_study(FOLDER / "curves.yaml"), tmp_path, 1, 1, 1)
    with pytest.raises(ConfigError, match="no run is done"):
        record.pack(runs, tmp_path / "out.npz")


@pytest.mark.parametrize("stage", ["probe", "full"])
def test_the_recorded_curves_can_be_replayed(stage: str) -> None:
    task = load(FOLDER / "curves" / f"{stage}.npz", 0.1)
    assert task.passes.mean() == pytest.approx(0.1, abs=0.02)
    assert task.loss_weights is not None
    assert task.loss_weights.shape[2] == 4
