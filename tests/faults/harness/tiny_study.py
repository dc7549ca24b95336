"""A study of seconds: four probes and the full runs of those that pass, in a store of its own."""

from __future__ import annotations

import functools
import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

import yaml

from sweep.study.config import StudyConfig

TRAIN: dict[str, Any] = {
    "preset": "poc05",
    "image_size": 32,
    "width": 0.1,
    "batch_size": 4,
    "val_split": 0.34,
    "test_split": 0.17,
    "device": "cpu",
}
"""Settings of a run."""
SCHEDULES = {
    "baseline": {"cycle": 0.3, "uv": 0.25, "direct": 0.3, "cross": 0.15},
    "good": {"direct": 0.9, "lr_scheduler": "cosine"},
    "better": {"direct": 0.95, "lr_scheduler": "cosine"},
}
FAULTS = "faults.json"
"""In a study's folder: what the runner of :mod:`tests.faults.harness.runner` is to do wrong."""


def write_study(folder: Path, data: Path, **changes: Any) -> Path:
    """A study file in ``folder``, whose store lies beside it and has its two databases already.

    Of the named schedules, ``good`` and ``better`` pass.

    Args:
        data: the data set.
        changes: settings of the study that replace these.
    """
    values: dict[str, Any] = {
        "name": "tiny",
        "data": {"path": str(data)},
        "train": TRAIN,
        "stages": {"probe": 2, "full": 3},
        "thresholds": [
            {"metric": "ssim_uv", "at_least": 0.6},
            {"metric": "haarpsi_view", "at_least": 0.2},
        ],
        "trials": 4,
        "replicates": 1,
        "search": {"queue": list(SCHEDULES), "startup_trials": 1},
        "pruning": {"enabled": False},
        "grids": 1,
        "store": str(folder / "store"),
    }
    values.update(changes)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "schedules.yaml").write_text(yaml.safe_dump(SCHEDULES))
    path = folder / "study.yaml"
    path.write_text(yaml.safe_dump(values))
    store = Path(values["store"])
    store.mkdir(exist_ok=True)
    for name in ("mlflow.db", "optuna.db"):
        shutil.copy(Path(_template().name) / name, store)
    return path


def misbehave(study: StudyConfig, **faults: Any) -> None:
    """Tells the runner what to do wrong; nothing at all without arguments."""
    study.paths.folder.mkdir(parents=True, exist_ok=True)
    (study.paths.folder / FAULTS).write_text(json.dumps(faults))


@functools.cache
def _template() -> tempfile.TemporaryDirectory[str]:
    """A store with empty databases. Creating their tables takes seconds, and a copy is fast."""
    from sweep.driving.sampling.optuna_storage import open_storage
    from sweep.tracking import client

    made = tempfile.TemporaryDirectory(prefix="faults-template-")  # removed when this process ends
    folder = Path(made.name)
    client.client(f"sqlite:///{folder}/mlflow.db")
    open_storage(f"sqlite:///{folder}/optuna.db").engine.dispose()
    return made
