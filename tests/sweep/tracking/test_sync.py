"""MLflow rebuilt from trial directories, also in a moved store."""

from __future__ import annotations

import shutil
from pathlib import Path

from mlflow import MlflowClient

from sweep.driving.session import saved
from sweep.study.config import StudyConfig
from sweep.study.folder import write_record
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
    assert sync(study).runs == 7
    assert sync(study).runs == 7
    assert runs_in_mlflow(MlflowClient(study.tracking_uri), study) == followed


def test_a_moved_study_keeps_the_uri_of_its_server(tmp_path: Path) -> None:
    study = make_study(tmp_path / "old")
    server = study.model_copy(update={"tracking_uri": "http://127.0.0.1:9"})
    study.paths.settings.write_text(dump_yaml(server))
    (tmp_path / "old").rename(tmp_path / "new")
    found = saved(tmp_path / "new", "made")
    assert (found.store, found.tracking_uri) == (tmp_path / "new", "http://127.0.0.1:9")


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
    assert sync(study).runs == 1
