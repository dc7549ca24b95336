"""Runs that are tracked, synced or registered in MLflow."""

from __future__ import annotations

from pathlib import Path

from mlflow import MlflowClient

from sweep.driving import admission
from sweep.study.config import StudyConfig
from sweep.study.folder import Gate, read_record, records
from sweep.tracking.registry import Candidate, promote
from sweep.tracking.tracker import Tracker
from tests.sweep.made_study import add_checkpoint, add_trial
from uvtex.config import TrainConfig
from uvtex.runs.epochs import read_epochs
from uvtex.settings import load_yaml


def full_run(study: StudyConfig, number: int, reach: float, fingerprint: str = "f" * 16) -> Path:
    _, run_dir = add_trial(study, number, stage="full", reach=reach)
    add_checkpoint(study, run_dir, fingerprint)
    return run_dir


def promote_run(study: StudyConfig, run_dir: Path) -> Gate:
    """The registry's answer to a run that is admitted, by itself or by its trial's replicates."""
    return promote(study, candidate_of(study, run_dir), study.tracking_uri)


def candidate_of(study: StudyConfig, run_dir: Path) -> Candidate:
    record = read_record(run_dir)
    full = [r for r in records(study.paths.folder) if (r.trial, r.stage) == (record.trial, "full")]
    answer = admission.judge(study, full)
    assert answer.chosen is not None, answer.reason
    return admission.candidate(study, full, answer, answer.chosen)


def tracker_of(study: StudyConfig) -> Tracker:
    return Tracker(study.tracking_uri, study.store / "artifacts", study.name)


def track(
    tracker: Tracker, study: StudyConfig, number: int, stage: str = "probe", live: bool = False
) -> str:
    """Tracks a trial as the driver does; returns the id of its run."""
    run_dir = study.paths.run_dir(number, stage)
    record = read_record(run_dir)
    config = TrainConfig.model_validate(load_yaml(run_dir / "config.yaml"))
    running = record.model_copy(update={"state": "running", "reason": None})
    for count in range(len(read_epochs(run_dir)) + 1):
        run_id = tracker.show(running, run_dir, config, epochs=count, live=live)
    if record.state != "running":
        tracker.show(record, run_dir, config)
    return run_id


def runs_in_mlflow(client: MlflowClient, study: StudyConfig) -> dict[str, object]:
    """All that MLflow holds of a study, except ids and times."""
    experiment = client.get_experiment_by_name(study.name)
    found: dict[str, object] = {}
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
        found[run.info.run_name] = (run.info.status, tags, run.data.params, histories, files)
    return found
