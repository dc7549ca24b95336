"""Damaged files of a study's runs: what is wrong, and what can be made again from the rest."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from sweep.study.config import StudyConfig
from sweep.study.folder import (
    RECORD,
    RUN_NAME,
    StudyFolder,
    TrialRecord,
    read_records,
    write_record,
)
from uvtex.errors import CheckpointError, UvtexError
from uvtex.runs.epochs import EpochReport, read_epochs, write_epochs
from uvtex.runs.folder import RunFolder
from uvtex.runs.header import read_header

if TYPE_CHECKING:  # `sweep status` reads without Optuna
    from sweep.driving.sampling.optuna_study import OptunaStudy


def damage(paths: StudyFolder) -> list[str]:
    """What is wrong with the files of a study's runs, a sentence each."""
    found, problems = read_records(paths.folder)
    cut = [f"{RunFolder(run_dir).epochs}: {lacking}; {_advice(run_dir)}"
           for run_dir, lacking in _cut(paths, found)]  # fmt: skip
    return [*problems.values(), *cut]


def mend(study: StudyConfig, trials: OptunaStudy) -> tuple[list[TrialRecord], list[str]]:
    """Makes damaged records again, and adds the last epoch to reports that were cut.

    A record comes from Optuna's storage and the study's settings. Its run is interrupted: the
    driver decides again what becomes of it, by its epochs. The last epoch comes from the run's last
    checkpoint.

    Returns:
        The records of the study's runs, all of them whole now; and what was done or could not be
        done, a sentence each.

    Raises:
        UvtexError: a record is damaged, and Optuna's storage does not have its trial either.
    """
    found, problems = read_records(study.paths.folder)
    done, cut = [], list(_cut(study.paths, found))
    for run_dir, problem in {**problems, **dict(_without_record(study.paths))}.items():
        record = _record(study, trials, run_dir)
        if record is None and run_dir not in problems:
            continue
        if record is None:
            raise UvtexError(
                f"{run_dir / RECORD}: is damaged, and Optuna's storage does not have its trial; "
                f"restore it from a copy, or move {run_dir.parent} out of the study's folder"
            )
        write_record(run_dir, record)
        found.append(record)
        done.append(f"{problem.partition(';')[0]}; it was made anew from Optuna's storage")
    for run_dir, lacking in cut:
        file = RunFolder(run_dir).epochs
        if _add_last(study, run_dir):
            done.append(f"{file}: {lacking}; it was taken from the last checkpoint")
        else:
            done.append(f"{file}: {lacking}; {_advice(run_dir)}")
    return found, done


def _advice(run_dir: Path) -> str:
    record = run_dir / RECORD
    return f"restore it from a copy, or remove {record}: the next `sweep run` makes the run again"


def _cut(paths: StudyFolder, found: list[TrialRecord]) -> Iterator[tuple[Path, str]]:
    """The runs that have ended, and whose reports lack epochs that they made."""
    for record in found:
        if record.epochs_made is None:
            continue
        run_dir = paths.run_dir(*record.key)
        if _lines(run_dir) < record.epochs_made:
            yield run_dir, f"lacks the last of its {record.epochs_made} epochs"


def _without_record(paths: StudyFolder) -> Iterator[tuple[Path, str]]:
    """The runs that were begun, and whose record is gone."""
    for run_dir in sorted(paths.folder.glob("trials/*/*")):
        run, record = RunFolder(run_dir), run_dir / RECORD
        if not record.exists() and (run.settings.exists() or run.epochs.exists()):
            yield run_dir, f"{record}: is missing"


def _lines(run_dir: Path) -> int:
    """The whole lines of a run's reports, without reading what they say."""
    try:
        return RunFolder(run_dir).epochs.read_bytes().count(b"\n")
    except OSError:
        return 0


def _add_last(study: StudyConfig, run_dir: Path) -> bool:
    """Adds the report in the last checkpoint to a run's reports, if that is the missing one."""
    run = RunFolder(run_dir)
    config = run.read_settings()
    if config is None:
        return False
    try:
        last: EpochReport | None = read_header(run.last(config.checkpoint_name)).report
    except CheckpointError:
        return False
    reports = read_epochs(run_dir)
    if last is None or last.epoch != len(reports) + 1:
        return False
    write_epochs(run_dir, [*reports, last])
    return True


def _record(study: StudyConfig, trials: OptunaStudy, run_dir: Path) -> TrialRecord | None:
    """The record of a run that ended nowhere, by its folder's name; None without its trial."""
    name, number = run_dir.name, run_dir.parent.name
    if not RUN_NAME.fullmatch(name) or not re.fullmatch(r"\d{4,}", number):
        return None
    asked = trials.known(int(number))
    if asked is None:
        return None
    stage, _, replicate = name.partition("-")
    place = int(replicate or 1)
    return TrialRecord(
        trial=asked.number,
        stage="full" if stage == "full" else "probe",
        replicate=place,
        seed=int(study.train["seed"]) + place if stage == "full" else None,
        state="interrupted",
        schedule=asked.schedule,
        params=asked.params,
        epochs=study.epochs("full" if stage == "full" else "probe"),
        started=_began(run_dir),
    )


def _began(run_dir: Path) -> float | None:
    settings = RunFolder(run_dir).settings
    return settings.stat().st_mtime if settings.is_file() else None
