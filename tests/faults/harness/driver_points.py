"""The steps of a driver's writing, and so the points between any two of them at which it may die.

A file is written in four steps (:func:`uvtex.files.replacing`): the content beside it, in part and
whole; its way to the disk; its new name. A database has one step a transaction.
"""

from __future__ import annotations

from tests.faults.harness.points import Point

FILES = "uvtex.files"
OPTUNA = "optuna.storages:RDBStorage"
MLFLOW = "mlflow:MlflowClient"


def _file(name: str, module: str, nth: int = 1) -> list[Point]:
    """The points of one writing of a file whose path ends with ``name``."""
    part = f"/.{name}."  # the name of the file beside it
    return [
        Point(f"{module}:write_atomic", "before", nth, name),
        Point(f"{module}:write_atomic", "halfway", nth, name),
        Point(f"{FILES}:os.replace", "before", nth, part),
        Point(f"{FILES}:os.replace", "after", nth, part),
    ]


RECORD = [
    *_file("trial.json", "sweep.study.folder", 1),  # the run is new
    *_file("trial.json", "sweep.study.folder", 2),  # its first epoch
    *_file("trial.json", "sweep.study.folder", 4),  # its end
    *_file("trial.json", "sweep.study.folder", 8),  # what was decided on its trial
]
"""The records of a study with a probe of two epochs and a full run of two."""

STUDY_FILES = [
    *_file("study.yaml", "sweep.driving.session"),
    *_file("data.json", "sweep.study.data_identity", 1),
    *_file("data.json", "sweep.study.data_identity", 2),
    *_file("driver.json", "sweep.study.lease"),
    *_file("summary.json", "sweep.study.summary_record", 1),
    *_file("report.html", "sweep.report.build"),
]


def _calls(owner: str, name: str, *nths: int) -> list[Point]:
    """The points before and after some calls of a method."""
    return [Point(f"{owner}.{name}", when, nth) for nth in nths for when in ("before", "after")]


OPTUNA_STATES = [
    *_calls(OPTUNA, "create_new_study", 1),
    *_calls(OPTUNA, "create_new_trial", 1),
    *_calls(OPTUNA, "set_trial_param", 1, 4),
    *_calls(OPTUNA, "set_trial_intermediate_value", 1, 2),
    *_calls(OPTUNA, "set_trial_user_attr", 1),
    *_calls(OPTUNA, "set_trial_state_values", 1, 2),
]

MLFLOW_RUNS = [
    *_calls(MLFLOW, "create_experiment", 1),
    *_calls(MLFLOW, "create_run", 1, 2, 3),
    *_calls(MLFLOW, "set_tag", 1),
    *_calls(MLFLOW, "log_batch", 1, 2, 3, 4, 5, 6),
    *_calls(MLFLOW, "log_artifact", 1, 2, 3),
    *_calls(MLFLOW, "set_terminated", 1, 2, 3),
]

REGISTRATION = [
    *_calls(MLFLOW, "create_logged_model", 1),
    *_calls(MLFLOW, "log_model_artifacts", 1),
    *_calls(MLFLOW, "finalize_logged_model", 1),
    *_calls(MLFLOW, "log_outputs", 1),
    *_calls(MLFLOW, "create_registered_model", 1),
    *_calls(MLFLOW, "create_model_version", 1),
    *_calls(MLFLOW, "set_model_version_tag", 1, 4),
    *_calls(MLFLOW, "set_registered_model_tag", 1, 2),
    *_calls(MLFLOW, "set_registered_model_alias", 1),
    *_calls(MLFLOW, "update_model_version", 1),
]
