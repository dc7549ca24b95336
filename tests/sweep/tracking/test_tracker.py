"""The mirror onto MLflow: complete, idempotent, and never in the study's way."""

from __future__ import annotations

import math
import shutil
import socket
import time
from collections import Counter
from pathlib import Path

import pytest
import requests
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from sqlalchemy.exc import OperationalError

from sweep.driving.session import saved
from sweep.study.config import StudyConfig
from sweep.study.folder import read_record, write_record
from sweep.study.summary_record import Summary
from sweep.tracking import client as mlflow_seam
from sweep.tracking.client import TrackingError
from sweep.tracking.sync import sync
from sweep.tracking.tracker import Tracker
from tests.sweep.made_study import (
    add_checkpoint,
    add_trial,
    empty_store,
    make_study,
    make_whole_study,
)
from uvtex.config import TrainConfig
from uvtex.errors import UvtexError
from uvtex.runs.epochs import read_epochs, write_epochs
from uvtex.settings import dump_yaml, load_yaml


@pytest.fixture
def study(tmp_path: Path) -> StudyConfig:
    empty_store(tmp_path)
    return make_study(tmp_path)


def tracker_of(study: StudyConfig, **kwargs: bool) -> Tracker:
    kwargs.setdefault("system_metrics", False)
    return Tracker(study.tracking_uri, study.store / "artifacts", study.name, **kwargs)


def follow(tracker: Tracker, study: StudyConfig, number: int, stage: str = "probe") -> str:
    """Tells the tracker of a trial as the driver would; returns the run's id."""
    run_dir = study.paths.run_dir(number, stage)  # type: ignore[arg-type]
    record = read_record(run_dir)
    config = TrainConfig.model_validate(load_yaml(run_dir / "config.yaml"))
    running = record.model_copy(update={"state": "running", "reason": None})
    run_id = tracker.trial_started(running, config, run_dir)
    for report in read_epochs(run_dir):
        tracker.epoch(running, report)
    if record.state != "running":
        tracker.trial_ended(record, run_dir)
    return run_id


def picture(client: MlflowClient, study: StudyConfig) -> dict[str, object]:
    """Everything that MLflow shows of a study, but for ids and the time of logging."""
    experiment = client.get_experiment_by_name(study.name)
    shown: dict[str, object] = {}
    for run in client.search_runs([experiment.experiment_id]):
        run_id = run.info.run_id
        tags = {k: v for k, v in run.data.tags.items() if k != "mlflow.parentRunId"}
        histories = {
            name: [(m.step, m.value) for m in client.get_metric_history(run_id, name)]
            for name in run.data.metrics
        }
        files = sorted(
            file.path
            for folder in ("", "checkpoints", "grids")
            for file in client.list_artifacts(run_id, folder or None)
        )
        shown[run.info.run_name] = (run.info.status, tags, run.data.params, histories, files)
    return shown


def test_a_trial_is_a_child_run_with_settings_curves_state_and_files(study: StudyConfig) -> None:
    _, run_dir = add_trial(study, 7, schedule="uv-heavy", grids=2)
    add_checkpoint(study, run_dir)
    tracker = tracker_of(study)
    parent = tracker.study_started(study)
    run_id = follow(tracker, study, 7)

    client = MlflowClient(study.tracking_uri)
    run = client.get_run(run_id)
    assert run.info.run_name == "0007 probe uv-heavy"
    assert run.info.status == "FINISHED"
    assert run.data.tags["mlflow.parentRunId"] == parent
    expected = {"study": "made", "trial": "7", "stage": "probe", "state": "complete"}
    assert {k: run.data.tags[f"sweep.{k}"] for k in expected} == expected
    assert run.data.tags["sweep.schedule"] == "uv-heavy"
    assert run.data.params["w_cycle"] == "0.4"
    assert run.data.params["w_cycle_end"] == "0.1"
    assert run.data.params["w_uv_end"] == run.data.params["w_uv"] == "0.25"
    assert run.data.params["image_size"] == "32"
    assert "torchmetrics" in run.data.params["metric_versions.ssim"]
    history = client.get_metric_history(run_id, "val/ssim_uv")
    reports = read_epochs(run_dir)
    assert [(m.step, m.value) for m in history] == [(r.epoch, r.val["ssim_uv"]) for r in reports]
    for name in ("train/cycle", "val/margin", "schedule/w_direct", "schedule/lr"):
        assert len(client.get_metric_history(run_id, name)) == len(reports), name
    assert run.data.metrics["best/margin"] == max(r.val["margin"] for r in reports)
    files = {file.path for file in client.list_artifacts(run_id)}
    assert files == {"config.yaml", "epochs.jsonl", "checkpoints", "grids"}
    kept = {file.path for file in client.list_artifacts(run_id, "checkpoints")}
    assert kept == {"checkpoints/best.safetensors", "checkpoints/best_epoch002.safetensors"}


def test_figures_of_artefacts_are_curves_and_those_that_are_none_are_left_out(
    study: StudyConfig,
) -> None:
    _, run_dir = add_trial(study, 7)
    reports = read_epochs(run_dir)
    for report in reports:
        more = {"seam_uv": 0.5 / report.epoch, "bleed": 0.25, "bleed_towards": math.nan}
        report.val.update(more)
    write_epochs(run_dir, reports)
    run_id = follow(tracker_of(study), study, 7)
    client = MlflowClient(study.tracking_uri)
    history = client.get_metric_history(run_id, "val/seam_uv")
    assert [m.value for m in history] == [0.5 / r.epoch for r in reports]
    shown = client.get_run(run_id)
    assert shown.data.metrics["best/bleed"] == 0.25
    assert not [name for name in shown.data.metrics if "bleed_towards" in name]
    assert "Liu" in shown.data.params["metric_versions.seam"]


def test_saying_everything_twice_changes_nothing(study: StudyConfig) -> None:
    add_trial(study, 0, grids=1)
    client = MlflowClient(study.tracking_uri)
    for _ in range(2):
        tracker = tracker_of(study)  # a second driver knows nothing of the first one's ids
        tracker.study_started(study)
        follow(tracker, study, 0)
        tracker.study_ended(Summary(study="made", thresholds=(), probes={"complete": 1}))
        shown = picture(client, study)
        if _ == 0:
            first = shown
    assert shown == first
    assert len(first) == 2


def test_a_run_that_goes_on_is_the_same_run_and_logs_only_new_epochs(study: StudyConfig) -> None:
    add_trial(study, 3, state="running", made=3)
    first = follow(tracker_of(study), study, 3)
    add_trial(study, 3, state="complete")
    second = follow(tracker_of(study), study, 3)
    client = MlflowClient(study.tracking_uri)
    assert first == second
    steps = Counter(m.step for m in client.get_metric_history(first, "val/margin"))
    assert steps == dict.fromkeys(range(1, 7), 1)
    assert client.get_run(first).info.status == "FINISHED"


@pytest.mark.parametrize(
    ("state", "status"),
    [
        ("running", "RUNNING"),
        ("complete", "FINISHED"),
        ("promoted", "FINISHED"),
        ("pruned", "KILLED"),
        ("failed", "FAILED"),
    ],
)
def test_states_become_statuses(study: StudyConfig, state: str, status: str) -> None:
    add_trial(study, 0, state=state)  # type: ignore[arg-type]
    run_id = follow(tracker_of(study), study, 0)
    run = MlflowClient(study.tracking_uri).get_run(run_id)
    assert (run.info.status, run.data.tags["sweep.state"]) == (status, state)


def test_sync_shows_the_same_as_following_along(tmp_path: Path) -> None:
    """The trial directories are the record: MLflow can be lost and made again."""
    empty_store(tmp_path / "a")
    study = make_whole_study(tmp_path / "a")
    tracker = tracker_of(study)
    tracker.study_started(study)
    for path in sorted(study.paths.folder.glob("trials/*/*")):
        follow(tracker, study, int(path.parent.name), path.name)
    tracker.study_ended(None)
    followed = picture(MlflowClient(study.tracking_uri), study)
    empty_store(tmp_path / "a")
    assert sync(study) == 7
    assert sync(study) == 7
    assert picture(MlflowClient(study.tracking_uri), study) == followed


def test_a_study_keeps_a_tracking_uri_that_is_not_its_stores(tmp_path: Path) -> None:
    study = make_study(tmp_path / "old")
    server = study.model_copy(update={"tracking_uri": "http://127.0.0.1:9"})
    study.paths.settings.write_text(dump_yaml(server))
    (tmp_path / "old").rename(tmp_path / "new")
    found = saved(tmp_path / "new", "made")
    assert (found.store, found.tracking_uri) == (tmp_path / "new", "http://127.0.0.1:9")


def test_sync_replaces_a_run_that_shows_what_did_not_happen(study: StudyConfig) -> None:
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


def test_a_run_that_died_before_its_first_epoch_is_shown(study: StudyConfig) -> None:
    record, run_dir = add_trial(study, 0, state="failed", made=0)
    shutil.rmtree(run_dir)
    write_record(run_dir, record)
    assert sync(study) == 1


def test_the_machine_is_watched_while_a_trial_runs(
    study: StudyConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sweep.tracking.system_load.SAMPLE_SECONDS", 0.2)
    add_trial(study, 0, state="running", made=1)
    tracker = tracker_of(study, system_metrics=True)
    run_id = follow(tracker, study, 0)
    client = MlflowClient(study.tracking_uri)
    until = time.monotonic() + 20
    while time.monotonic() < until:
        if "system/cpu_utilization_percentage" in client.get_run(run_id).data.metrics:
            break
        time.sleep(0.1)  # another thread samples, there is nothing to be told by
    tracker.close()
    assert "system/cpu_utilization_percentage" in client.get_run(run_id).data.metrics


def test_a_server_that_is_away_is_said_so_quickly() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    began = time.monotonic()
    with pytest.raises(TrackingError, match=f"127.0.0.1:{port}.*sweep sync"):
        Tracker(f"http://127.0.0.1:{port}", None, "made")
    assert time.monotonic() - began < 20


def test_a_store_that_is_no_database_is_said_so(tmp_path: Path) -> None:
    (tmp_path / "mlflow.db").write_bytes(b"this is no database at all" * 100)
    with pytest.raises(TrackingError, match=r"mlflow\.db"):
        Tracker(f"sqlite:///{tmp_path}/mlflow.db", None, "made")


@pytest.mark.parametrize(
    "raised",
    [
        MlflowException("refused"),
        requests.ConnectionError("refused"),
        requests.Timeout("refused"),
        OperationalError("select", {}, Exception("refused")),
        PermissionError(13, "refused"),
    ],
    ids=lambda raised: type(raised).__name__,
)
def test_the_seam_maps_whatever_mlflow_raises(raised: Exception) -> None:
    with (
        pytest.raises(TrackingError, match=r"cannot frobnicate: .*refused"),
        mlflow_seam.mapped_errors("frobnicate", "sqlite:///x.db"),
    ):
        raise raised


def test_the_seam_leaves_our_own_errors_alone() -> None:
    with pytest.raises(UvtexError, match=r"^mine$"), mlflow_seam.mapped_errors("x", "y"):
        raise UvtexError("mine")


def test_no_other_room_catches_mlflows_errors() -> None:
    """One seam: MLflow's exceptions are known in the seam, and in the registry's look-up."""
    rooms = Path(mlflow_seam.__file__).parent.rglob("*.py")
    knows = {path.name for path in rooms if "MlflowException" in path.read_text()}
    assert knows <= {"client.py", "registry.py", "export.py"}


def test_names_that_mlflow_must_take(study: StudyConfig) -> None:
    """Long reasons are cut, characters of other languages kept."""
    record, run_dir = add_trial(study, 0, state="failed")
    write_record(run_dir, record.model_copy(update={"reason": "ü" * 9000}))
    run_id = follow(tracker_of(study), study, 0)
    assert MlflowClient(study.tracking_uri).get_run(run_id).data.tags["sweep.reason"][:2] == "üü"
