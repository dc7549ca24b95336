"""The steps of a driver's writing, and so the points between any two of them at which it may die.

A file is written in four steps (:func:`uvtex.files.replacing`): the content beside it, in part and
whole; its way to the disk; its new name. A database has one step a transaction.
"""

from __future__ import annotations

from tests.faults.harness.points import Point, file_points

OPTUNA = "optuna.storages:RDBStorage"
MLFLOW = "mlflow:MlflowClient"

RECORD = [
    *file_points("trial.json", "sweep.study.folder", 1),  # the run is new
    *file_points("trial.json", "sweep.study.folder", 2),  # its first epoch
    *file_points("trial.json", "sweep.study.folder", 4),  # its end
    *file_points("trial.json", "sweep.study.folder", 8),  # what was decided on its trial
]
"""The records of a study with a probe of two epochs and a full run of two."""

STUDY_FILES = [
    *file_points("study.yaml", "sweep.study.file"),
    *file_points("data.json", "sweep.study.data_identity", 1),
    *file_points("data.json", "sweep.study.data_identity", 2),
    *file_points("driver.json", "sweep.study.lease"),
    *file_points("spent.json", "sweep.driving.spending"),
    *file_points("summary.json", "sweep.study.summary_record", 1),
    *file_points("report.html", "sweep.report.build"),
]


def _calls(owner: str, name: str, *nths: int) -> list[Point]:
    """The points before and after some calls of a method."""
    return [Point(f"{owner}.{name}", when, nth) for nth in nths for when in ("before", "after")]


OPTUNA_STATES = [
    *_calls(OPTUNA, "create_new_study", 1),
    *_calls(OPTUNA, "_set_trial_param", 1, 4),  # of a trial from the queue
    *_calls(OPTUNA, "set_trial_state_values", 1, 2),
    *_calls(OPTUNA, "set_trial_intermediate_value", 1, 2),
    *_calls(OPTUNA, "set_trial_system_attr", 1),
    *_calls(OPTUNA, "set_trial_user_attr", 1),
]
SEARCHED = _calls(OPTUNA, "_create_new_trial", 1)
"""The points of a trial that the sampler draws: it is stored in one transaction."""

MLFLOW_RUNS = [
    *_calls(MLFLOW, "create_experiment", 1),
    *_calls(MLFLOW, "create_run", 1, 2, 3),
    *_calls(MLFLOW, "log_batch", 1, 2, 3),
    *_calls(MLFLOW, "set_terminated", 1, 2, 3),
    *[
        Point(f"{MLFLOW}.log_artifact", when, nth, name)
        for name, nths in (
            ("study.yaml", (1,)),
            ("config.yaml", (1, 2)),
            ("epochs.jsonl", (1, 2)),
            ("best.safetensors", (1,)),
            ("sample_000.png", (1,)),
            ("report.html", (1,)),
        )
        for nth in nths
        for when in ("before", "after")
    ],
    # MLflow copies an artifact beside its place, and then gives it its name.
    Point("uvtex.files:os.replace", "before", 1, "/artifacts/checkpoints/best.safetensors"),
    Point("uvtex.files:os.replace", "before", 2, "/artifacts/epochs.jsonl"),
]

REGISTRATION = [
    *_calls(MLFLOW, "create_logged_model", 1),
    *_calls(MLFLOW, "log_model_artifacts", 1),
    *_calls(MLFLOW, "log_outputs", 1),
    *_calls(MLFLOW, "finalize_logged_model", 1),
    *_calls(MLFLOW, "create_registered_model", 1),
    *_calls(MLFLOW, "create_model_version", 1),
    *_calls(MLFLOW, "set_registered_model_alias", 1, 2),
    *_calls(MLFLOW, "set_model_version_tag", 1, 3),
    *_calls(MLFLOW, "set_registered_model_tag", 1, 2),
    *_calls(MLFLOW, "delete_registered_model_alias", 1),
    *_calls(MLFLOW, "update_model_version", 1),
    *file_points("registry.json", "sweep.tracking.registry.kept"),
]

ALL = [*RECORD, *STUDY_FILES, *OPTUNA_STATES, *MLFLOW_RUNS, *REGISTRATION]
"""All but those of a trial that the sampler draws."""
