"""The tracker: complete and idempotent."""

from __future__ import annotations

import math
import time
from collections import Counter

import pytest
from mlflow import MlflowClient

from sweep.study.config import StudyConfig
from sweep.study.folder import write_record
from sweep.study.look import Flag, Look
from sweep.study.summary_record import Summary
from tests.sweep.made_study import (
    add_checkpoint,
    add_trial,
)
from tests.sweep.tracking.tracked_runs import runs_in_mlflow, track, tracker_of
from uvtex.runs.epochs import read_epochs, write_epochs


def test_a_trial_is_a_child_run_with_settings_curves_state_and_files(study: StudyConfig) -> None:
    _, run_dir = add_trial(study, 7, schedule="uv-heavy", grids=2)
    add_checkpoint(study, run_dir)
    tracker = tracker_of(study)
    parent = tracker.study_started(study)
    run_id = track(tracker, study, 7)

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


def test_artefact_metrics_become_curves_and_nan_is_left_out(
    study: StudyConfig,
) -> None:
    _, run_dir = add_trial(study, 7)
    reports = read_epochs(run_dir)
    for report in reports:
        more = {"seam_uv": 0.5 / report.epoch, "bleed": 0.25, "bleed_towards": math.nan}
        report.val.update(more)
    write_epochs(run_dir, reports)
    run_id = track(tracker_of(study), study, 7)
    client = MlflowClient(study.tracking_uri)
    history = client.get_metric_history(run_id, "val/seam_uv")
    assert [m.value for m in history] == [0.5 / r.epoch for r in reports]
    run = client.get_run(run_id)
    assert run.data.metrics["best/bleed"] == 0.25
    assert not [name for name in run.data.metrics if "bleed_towards" in name]
    assert "Liu" in run.data.params["metric_versions.seam"]


def test_a_run_shows_what_the_pruner_saw_and_why_it_went_on(study: StudyConfig) -> None:
    record, run_dir = add_trial(study, 7)
    looks = (
        Look(epoch=1, fresh=0.2, reason="there is no forecast yet: too few have ended"),
        Look(epoch=2, chance=0.004, fresh=0.2, reason="it passes with probability 0.4 %"),
    )
    flag = Flag(epoch=2, chance=0.004, share=0.3, audited=True)
    write_record(run_dir, record.model_copy(update={"looks": looks, "flag": flag}))
    tracker = tracker_of(study)
    tracker.study_started(study)
    run_id = track(tracker, study, 7)
    client = MlflowClient(study.tracking_uri)
    tags = client.get_run(run_id).data.tags
    assert (tags["sweep.flag"], tags["sweep.chance"]) == ("audited", "0.004")
    assert "It would have been stopped after epoch 2. It went on" in tags["mlflow.note.content"]
    assert "- After epoch 1 of" in tags["mlflow.note.content"]
    chances = client.get_metric_history(run_id, "look/chance")
    assert [(one.step, one.value) for one in chances] == [(2, 0.004)]


def test_tracking_a_study_twice_changes_nothing(study: StudyConfig) -> None:
    add_trial(study, 0, grids=1)
    client = MlflowClient(study.tracking_uri)
    for _ in range(2):
        tracker = tracker_of(study)  # a second driver does not know the ids of the first
        tracker.study_started(study)
        track(tracker, study, 0)
        tracker.study_ended(Summary(study="made", thresholds=(), probes={"complete": 1}))
        current = runs_in_mlflow(client, study)
        if _ == 0:
            first = current
    assert current == first
    assert len(first) == 2


def test_a_resumed_run_keeps_its_id_and_logs_only_new_epochs(study: StudyConfig) -> None:
    add_trial(study, 3, state="running", made=3)
    first = track(tracker_of(study), study, 3)
    add_trial(study, 3, state="complete")
    second = track(tracker_of(study), study, 3)
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
def test_each_state_has_its_mlflow_status(study: StudyConfig, state: str, status: str) -> None:
    add_trial(study, 0, state=state)  # type: ignore[arg-type]
    run_id = track(tracker_of(study), study, 0)
    run = MlflowClient(study.tracking_uri).get_run(run_id)
    assert (run.info.status, run.data.tags["sweep.state"]) == (status, state)


def test_system_metrics_are_logged_while_a_trial_runs(
    study: StudyConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sweep.tracking.system_load.SAMPLE_SECONDS", 0.2)
    add_trial(study, 0, state="running", made=1)
    tracker = tracker_of(study)
    run_id = track(tracker, study, 0, live=True)
    client = MlflowClient(study.tracking_uri)
    until = time.monotonic() + 20
    while time.monotonic() < until:
        if "system/cpu_utilization_percentage" in client.get_run(run_id).data.metrics:
            break
        time.sleep(0.1)  # another thread samples and gives no signal
    tracker.close()
    assert "system/cpu_utilization_percentage" in client.get_run(run_id).data.metrics


def test_a_long_reason_in_any_language_is_shortened(study: StudyConfig) -> None:
    """Long reasons are cut. Characters of other languages stay."""
    record, run_dir = add_trial(study, 0, state="failed")
    write_record(run_dir, record.model_copy(update={"reason": "ü" * 9000}))
    run_id = track(tracker_of(study), study, 0)
    assert MlflowClient(study.tracking_uri).get_run(run_id).data.tags["sweep.reason"][:2] == "üü"
