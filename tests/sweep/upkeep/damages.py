"""Damages of a made store: each kind of inconsistency that the doctor knows."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

from mlflow import MlflowClient

from sweep.driving.sampling.optuna_storage import open_storage
from sweep.driving.sampling.optuna_study import OptunaStudy
from sweep.study.config import StudyConfig
from sweep.study.database import sqlite_url
from sweep.study.folder import StudyFolder, read_record, write_record
from sweep.tracking import client as seam
from sweep.upkeep.finding import Finding
from tests.sweep.upkeep.made_store import PASSED, PLAIN, PRUNED, UNFINISHED

Damage = Callable[[StudyConfig], object]


def run_dir(study: StudyConfig, trial: int, name: str = "probe") -> Path:
    return study.paths.run_dir(trial, name)


def kinds(findings: tuple[Finding, ...]) -> set[str]:
    return {finding.kind for finding in findings}


def mlflow_of(study: StudyConfig) -> tuple[MlflowClient, str]:
    client = seam.client(study.tracking_uri)
    return client, client.get_experiment_by_name(study.name).experiment_id


def mlflow_run(study: StudyConfig, trial: str, name: str) -> str:
    client, experiment = mlflow_of(study)
    where = f"tags.`sweep.trial` = '{trial}' and tags.`sweep.stage` = '{name}'"
    [run] = client.search_runs([experiment], where)
    return str(run.info.run_id)


def artifacts_of(study: StudyConfig, trial: int, name: str = "probe") -> Path:
    return study.paths.artifacts / study.name / mlflow_run(study, str(trial), name) / "artifacts"


def set_state(study: StudyConfig, trial: int, state: str) -> None:
    folder = run_dir(study, trial)
    write_record(folder, read_record(folder).model_copy(update={"state": state}))


def cut(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def without_last_epoch(study: StudyConfig) -> None:
    """Cuts the last line, whose report the last checkpoint has."""
    from uvtex.runs.checkpoint import read, save
    from uvtex.runs.epochs import read_epochs
    from uvtex.runs.header import Header

    folder = run_dir(study, PLAIN)
    report = read_epochs(folder)[-1]
    last = folder / "checkpoints" / "best_last.safetensors"
    tensors, header = read(last)
    given = {name: getattr(header, name) for name in header.model_fields_set}
    save(last, tensors, Header(**{**given, "epoch": report.epoch, "report": report}))
    text = (folder / "epochs.jsonl").read_text()
    (folder / "epochs.jsonl").write_text(text[:-40])


def unknown_run(study: StudyConfig) -> None:
    client, experiment = mlflow_of(study)
    tags = {"sweep.study": study.name, "sweep.trial": "77", "sweep.stage": "probe"}
    client.create_run(experiment, tags=tags)


def second_run(study: StudyConfig) -> None:
    client, experiment = mlflow_of(study)
    tags = {"sweep.study": study.name, "sweep.trial": str(PLAIN), "sweep.stage": "probe"}
    made = client.create_run(experiment, tags=tags)
    client.log_artifact(made.info.run_id, str(run_dir(study, PLAIN) / "epochs.jsonl"))


def no_parent(study: StudyConfig) -> None:
    client, _ = mlflow_of(study)
    client.delete_tag(mlflow_run(study, str(PLAIN), "probe"), "mlflow.parentRunId")


def still_running(study: StudyConfig) -> None:
    client, _ = mlflow_of(study)
    client.update_run(mlflow_run(study, str(PLAIN), "probe"), status="RUNNING")


def study_still_running(study: StudyConfig) -> None:
    client, _ = mlflow_of(study)
    client.update_run(mlflow_run(study, "-", "study"), status="RUNNING")


def deleted_run(study: StudyConfig) -> None:
    client, _ = mlflow_of(study)
    client.delete_run(mlflow_run(study, str(PRUNED), "probe"))


def unknown_epoch(study: StudyConfig) -> None:
    """An epoch that the run lost when it was resumed from an earlier checkpoint."""
    client, _ = mlflow_of(study)
    run_id = mlflow_run(study, str(PLAIN), "probe")
    client.log_metric(run_id, "schedule/lr", 0.1, step=9)
    client.log_metric(run_id, "val/total", 0.1, step=9)


def orphan_model(study: StudyConfig) -> None:
    client, experiment = mlflow_of(study)
    run_id = mlflow_run(study, str(PASSED), "full")
    model = client.create_logged_model(experiment, name="uvtex", source_run_id=run_id)
    folder = study.store / "half"
    folder.mkdir()
    (folder / "weights").write_bytes(b"x" * 5000)
    client.log_model_artifacts(model.model_id, str(folder))
    shutil.rmtree(folder)


def running_in_optuna(study: StudyConfig) -> None:
    """A trial that has ended and that Optuna was never told of."""
    trials = OptunaStudy(study)
    try:
        trials.unfinished()  # a trial that is known is not handed out again
        asked = trials.ask()
    finally:
        trials.close()
    assert asked is not None
    source = run_dir(study, PLAIN)
    target = run_dir(study, asked.number)
    shutil.copytree(source, target)
    record = read_record(source)
    changes = {"trial": asked.number, "params": asked.params}
    write_record(target, record.model_copy(update=changes))


def epochs_not_told(study: StudyConfig) -> None:
    source, target = run_dir(study, PLAIN), run_dir(study, UNFINISHED)
    lines = (source / "epochs.jsonl").read_text().splitlines(keepends=True)
    (target / "epochs.jsonl").write_text("".join(lines[:3]))


def optuna_only(study: StudyConfig) -> None:
    import optuna

    storage = open_storage(sqlite_url(study.paths.optuna))
    optuna.create_study(storage=storage, study_name="gone")
    storage.remove_session()
    storage.engine.dispose()


def empty_folder(study: StudyConfig) -> None:
    StudyFolder(study.store, "never").folder.mkdir()


def dead_driver(study: StudyConfig) -> None:
    note = {"pid": 1, "host": "elsewhere", "since": "2026"}
    study.paths.driver.write_text(json.dumps(note))


def half_written(study: StudyConfig) -> None:
    (run_dir(study, PLAIN) / ".trial.json.0123abcd.part").write_text("{")
    checkpoints = run_dir(study, PLAIN) / "checkpoints"
    (checkpoints / ".best.safetensors.0123abcd.part").write_bytes(b"x" * 1000)
    (study.store / ".set.abc.part").mkdir()


def lost_artifacts(study: StudyConfig) -> None:
    (artifacts_of(study, PASSED) / "epochs.jsonl").unlink()
    cut(artifacts_of(study, PASSED) / "checkpoints" / "best.safetensors")


def artifacts_of_no_run(study: StudyConfig) -> None:
    source = artifacts_of(study, PASSED)
    shutil.copytree(source, study.paths.artifacts / study.name / ("0" * 32))


MENDED: dict[str, list[tuple[Damage, str]]] = {
    "files": [
        (lambda study: set_state(study, UNFINISHED, "running"), "running-without-driver"),
        (without_last_epoch, "damaged-epochs"),
        (lambda study: study.paths.summary.write_text('{"study": '), "damaged-file"),
        (half_written, "leftover"),
        (empty_folder, "study-without-settings"),
    ],
    "optuna": [
        (running_in_optuna, "optuna-state"),
        (epochs_not_told, "optuna-epochs"),
        (optuna_only, "optuna-without-folder"),
    ],
    "runs in mlflow": [
        (unknown_run, "mlflow-without-record"),
        (no_parent, "mlflow-parent"),
        (still_running, "mlflow-status"),
        (study_still_running, "mlflow-status"),
        (deleted_run, "mlflow-lacks-run"),
        (second_run, "mlflow-duplicate"),
    ],
    "figures and files in mlflow": [
        (unknown_epoch, "mlflow-metrics"),
        (artifacts_of_no_run, "orphan-artifacts"),
        (lost_artifacts, "mlflow-artifact"),
        (orphan_model, "orphan-model"),
    ],
}
"""Damages that nothing is lost by mending, by the part of the store that they are done to."""


def add_elsewhere(study: StudyConfig) -> None:
    shutil.copytree(run_dir(study, PLAIN), run_dir(study, 50))


def swap_champion(study: StudyConfig) -> None:
    probe, full = (run_dir(study, PASSED, name) / "checkpoints" for name in ("probe", "full"))
    shutil.copy(probe / "best.safetensors", full / "best.safetensors")


def lose_models(study: StudyConfig) -> None:
    shutil.rmtree(study.paths.artifacts / study.name / "models")


def other_results(study: StudyConfig) -> None:
    """Artifacts of no run, with an epoch that no trial directory has."""
    folder = study.paths.artifacts / study.name / ("1" * 32) / "artifacts"
    folder.mkdir(parents=True)
    (folder / "epochs.jsonl").write_text('{"epoch": 1}\n')


BY_HAND: list[tuple[Damage, str]] = [
    (add_elsewhere, "record-elsewhere"),
    (lambda study: cut(run_dir(study, PLAIN) / "trial.json"), "damaged-record"),
    (lambda study: (run_dir(study, PRUNED) / "trial.json").unlink(), "files-without-record"),
    (lambda study: study.paths.data.write_text('{"inventory": '), "damaged-file"),
    (lambda study: cut(run_dir(study, PASSED) / "epochs.jsonl"), "damaged-epochs"),
    (
        lambda study: cut(run_dir(study, PASSED) / "checkpoints" / "best.safetensors"),
        "broken-checkpoint",
    ),
    (
        lambda study: (run_dir(study, UNFINISHED) / "checkpoints/best_last.safetensors").unlink(),
        "missing-checkpoint",
    ),
    (swap_champion, "other-checkpoint"),
    (lose_models, "version-damaged"),
    (other_results, "orphan-artifacts"),
    (lambda study: study.paths.optuna.unlink(), "optuna-missing"),
]
"""Damages by which something is lost, or could be."""
