"""MLflow rebuilt from trial directories, also in a moved store."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from mlflow import MlflowClient

from sweep.cli import main
from sweep.driving.session import saved
from sweep.report.summary import summarise
from sweep.study.config import StudyConfig
from sweep.study.folder import write_record
from sweep.tracking.mirror import MlflowMirror
from sweep.tracking.sync import sync
from tests.sweep.made_study import (
    add_trial,
    empty_store,
    make_study,
    make_whole_study,
)
from tests.sweep.tracking.tracked_runs import runs_in_mlflow, track, tracker_of
from uvtex.settings import dump_yaml


def test_sync_gives_the_same_runs_as_live_tracking(tmp_path: Path) -> None:
    """MLflow can be rebuilt from the trial directories."""
    empty_store(tmp_path / "a")
    study = make_whole_study(tmp_path / "a")
    tracker = tracker_of(study)
    tracker.study_started(study)
    for path in sorted(study.paths.folder.glob("trials/*/*")):
        track(tracker, study, int(path.parent.name), path.name)
    tracker.study_ended(None)
    followed = runs_in_mlflow(MlflowClient(study.tracking_uri), study)
    empty_store(tmp_path / "a")
    assert sync(study) == 7
    assert sync(study) == 7
    assert runs_in_mlflow(MlflowClient(study.tracking_uri), study) == followed


@pytest.mark.parametrize("before", ["synced", "lost"])
def test_sync_of_a_moved_store_stays_in_it(tmp_path: Path, before: str) -> None:
    """Also if MLflow's database has the old folder of the artifacts."""
    old, new = tmp_path / "mlruns", tmp_path / "kept"
    empty_store(old)
    make_whole_study(old)
    if before == "synced":
        assert call_sync("made", "--store", str(old)).output == "made: 7 runs synced\n"
    old.rename(new)
    if before == "lost":
        (new / "mlflow.db").unlink()
    for _ in range(2):
        assert call_sync("made", "--store", str(new)).output == "made: 7 runs synced\n"
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]
    client = MlflowClient(f"sqlite:///{new}/mlflow.db")
    experiments = client.search_experiments(filter_string="name LIKE 'made%'")
    assert len(experiments) == (2 if before == "synced" else 1)
    experiment = client.get_experiment_by_name("made")
    runs = client.search_runs([experiment.experiment_id])
    assert len(runs) == 8
    inside = (new / "artifacts/made").as_uri()
    assert all(run.info.artifact_uri.startswith(inside) for run in runs)
    assert len(list((new / "artifacts/made").glob("*/artifacts/epochs.jsonl"))) >= 7


def call_sync(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["sync", *arguments], catch_exceptions=False)


def test_a_moved_study_keeps_the_uri_of_its_server(tmp_path: Path) -> None:
    study = make_study(tmp_path / "old")
    server = study.model_copy(update={"tracking_uri": "http://127.0.0.1:9"})
    study.paths.settings.write_text(dump_yaml(server))
    (tmp_path / "old").rename(tmp_path / "new")
    found = saved(tmp_path / "new", "made")
    assert (found.store, found.tracking_uri) == (tmp_path / "new", "http://127.0.0.1:9")


def test_a_driver_in_a_moved_store_adds_the_missing_runs(tmp_path: Path) -> None:
    empty_store(tmp_path / "old")
    add_trial(study := make_study(tmp_path / "old"), 0)
    sync(study)
    (tmp_path / "old").rename(tmp_path / "new")
    moved = saved(tmp_path / "new", "made")
    mirror = MlflowMirror(moved, print)
    mirror.study_started()
    mirror.study_ended(summarise(moved), None, "complete")
    mirror.close()
    client = MlflowClient(moved.tracking_uri)
    experiment = client.get_experiment_by_name("made")
    names = {run.info.run_name for run in client.search_runs([experiment.experiment_id])}
    assert "0000 probe search" in names
    assert not (tmp_path / "old").exists()


def test_sync_replaces_a_run_that_differs_from_its_directory(study: StudyConfig) -> None:
    add_trial(study, 0, reach=0.5)
    sync(study)
    add_trial(study, 0, reach=0.4, made=2, state="pruned")
    lines = study.paths.run_dir(0, "probe") / "epochs.jsonl"
    lines.write_text(lines.read_text().replace('"total": 0.', '"total": 1.'))
    sync(study)
    client = MlflowClient(study.tracking_uri)
    experiment = client.get_experiment_by_name(study.name)
    children = client.search_runs([experiment.experiment_id], "tags.`sweep.trial` = '0'")
    assert len(children) == 1
    history = client.get_metric_history(children[0].info.run_id, "val/ssim_uv")
    assert [m.step for m in history] == [1, 2]


def test_sync_adds_a_run_that_died_before_its_first_epoch(study: StudyConfig) -> None:
    record, run_dir = add_trial(study, 0, state="failed", made=0)
    shutil.rmtree(run_dir)
    write_record(run_dir, record)
    assert sync(study) == 1
