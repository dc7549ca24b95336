"""A store with one whole study in it: records, checkpoints, Optuna, MLflow and a version."""

from __future__ import annotations

from pathlib import Path

from sweep.driving.active_run import ActiveRun
from sweep.driving.recovery import tell_run
from sweep.driving.sampling.optuna_study import OptunaStudy
from sweep.study.config import StudyConfig
from sweep.study.file import read_saved
from sweep.study.folder import StudyFolder, TrialRecord, write_record
from sweep.tracking.sync import sync
from tests.sweep.made_study import add_checkpoint, add_trial, empty_store, make_study
from tests.sweep.tracking.tracked_runs import promote_run
from uvtex.settings import dump_yaml

PRUNED, PLAIN, UNFINISHED, PASSED = range(4)
"""The study's trials. ``PASSED`` has a full run, which is version 1 and champion."""


def make_store(root: Path) -> StudyConfig:
    """Writes the store of a study that was interrupted in one of its trials."""
    empty_store(root)
    study = make_study(root)
    trials = OptunaStudy(study)
    try:
        for number in range(4):
            asked = trials.ask()
            assert asked is not None
            assert asked.number == number
            run = _add_probe(study, number, asked.params)
            tell_run(trials, run)
    finally:
        trials.close()
    record, run_dir = add_trial(study, PASSED, stage="full", reach=0.66, grids=2)
    add_checkpoint(study, run_dir)
    gate = promote_run(study, run_dir)
    write_record(run_dir, record.model_copy(update={"gate": gate}))
    sync(study)
    return study


def _add_probe(study: StudyConfig, number: int, params: dict[str, object]) -> ActiveRun:
    state = {PRUNED: "pruned", PLAIN: "complete", UNFINISHED: "interrupted", PASSED: "promoted"}
    made = {PRUNED: 3, UNFINISHED: 2}.get(number)
    reach = 0.63 if number == PASSED else 0.4
    grids = 0 if made else 3
    record, run_dir = add_trial(
        study, number, state=state[number], reach=reach, made=made, grids=grids
    )
    changes = {"params": params, "ended": None} if number == UNFINISHED else {"params": params}
    record = TrialRecord.model_validate(record.model_dump() | changes)
    write_record(run_dir, record)
    add_checkpoint(study, run_dir)
    run = ActiveRun.load(study, record)
    (run_dir / "config.yaml").write_text(dump_yaml(run.config))
    return run


def opened(root: Path) -> StudyConfig:
    """The study in a copy of the store."""
    return read_saved(StudyFolder(root, "made").settings).in_store(root)
