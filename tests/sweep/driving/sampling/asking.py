"""Asks Optuna for trials and tells it made-up results at once: no driver, no run, real storage."""

from __future__ import annotations

import functools
import math
import tempfile
from pathlib import Path
from typing import Any

import optuna

from sweep.driving.sampling.optuna_storage import open_storage
from sweep.driving.sampling.optuna_study import OptunaStudy
from sweep.driving.sampling.stored_study import Asked
from sweep.study.config import StudyConfig
from sweep.study.database import sqlite_url
from sweep.study.folder import State, TrialRecord
from sweep.study.search.space import Params
from uvtex.runs.epochs import EpochReport
from uvtex.thresholds import margin


@functools.cache
def _template() -> bytes:
    """Optuna's storage without a study. Its creation takes as long as some trials do."""
    with tempfile.TemporaryDirectory() as folder:
        storage = open_storage(sqlite_url(Path(folder) / "optuna.db"))
        storage.remove_session()
        storage.engine.dispose()
        return (Path(folder) / "optuna.db").read_bytes()


def opened(config: StudyConfig) -> OptunaStudy:
    """The study in its storage, which is created if it is missing."""
    path = config.paths.optuna
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(_template())
    return OptunaStudy(config)


def ask(config: StudyConfig, number: int, state: State = "complete") -> list[Params]:
    """Opens the study, and asks for up to ``number`` trials, each of which ends in ``state``."""
    trials = opened(config)
    trials.enqueue()
    params = []
    for _ in range(number):
        asked = trials.ask()
        if asked is None:
            break
        params.append(asked.params)
        end(trials, config, asked, state)
    trials.close()
    return params


def end(trials: OptunaStudy, config: StudyConfig, asked: Asked, state: State) -> None:
    """Two epochs, then the result. The best value is at a direct weight of 0.6."""
    for epoch in (1, 2):
        weight = float(asked.params.get("direct_start", asked.params.get("direct", 0.3)))
        value = 0.25 * epoch * math.exp(-abs(weight - 0.6))
        val = {"ssim_uv": value, "haarpsi_view": value / 2}
        val["margin"] = margin(val, config.thresholds)
        trials.report(asked.number, EpochReport(epoch, {}, 1e-4, {}, val, 0.01, 8, True))
    record = TrialRecord(
        trial=asked.number,
        stage="probe",
        state=state,
        schedule=asked.schedule,
        params=asked.params,
        epochs=config.stages.probe,
    )
    trials.tell(record, val)
    trials.tell(record, val)  # a second time changes nothing


def told(config: StudyConfig) -> tuple[list[optuna.trial.FrozenTrial], dict[str, Any]]:
    """The trials and the study's own attributes in Optuna's storage."""
    storage = open_storage(config.optuna_url)
    found = optuna.load_study(study_name=config.name, storage=storage)
    trials = found.get_trials()
    attributes = storage.get_study_system_attrs(storage.get_study_id_from_name(config.name))
    storage.remove_session()
    storage.engine.dispose()
    return trials, attributes
