"""Where Optuna's storage and the trial directories disagree."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

from sweep.driving.active_run import ActiveRun
from sweep.driving.recovery import tell_run
from sweep.driving.sampling.optuna_storage import shown
from sweep.driving.sampling.optuna_study import OptunaStudy
from sweep.driving.sampling.results import result_state
from sweep.driving.sampling.stored_trials import (
    StoredTrial,
    forget,
    stored_trials,
    studies_in_optuna,
)
from sweep.study.config import StudyConfig
from sweep.study.database import sqlite_file, sqlite_url
from sweep.study.folder import UNFINISHED, StudyFolder, TrialRecord
from sweep.upkeep.finding import Finding, Remedy
from uvtex.errors import UvtexError
from uvtex.runs.epochs import read_epochs

MADE_AGAIN = "`sweep run` with the study's file makes it again from the records"
LOST = "restore the database from a copy, or give the study another name"


def inspect_optuna(
    study: StudyConfig, records: Sequence[TrialRecord], unread: set[int]
) -> Iterator[Finding]:
    """The findings on a study's trials in Optuna.

    Args:
        records: those that can be read.
        unread: trials whose directory has no record that can be read. They have a finding already.
    """
    storage, probes = shown(study.optuna_url), [r for r in records if r.stage == "probe"]
    file = sqlite_file(study.optuna_url)
    if file is not None and not file.is_file():
        if probes:
            yield Finding("optuna-missing", storage, "does not exist", MADE_AGAIN)
        return
    try:
        trials = stored_trials(study)
    except UvtexError as error:
        yield _unchecked(storage, error)
        return
    if trials is None:
        if probes:
            what = f"has no study {study.name}, which has {len(probes)} trials"
            yield Finding("optuna-missing", storage, what, MADE_AGAIN)
        return
    for record in probes:
        where = f"{storage}, trial {record.trial}"
        if (trial := trials.get(record.trial)) is None:
            yield Finding("optuna-lacks-trial", where, "is not there, but has a record", LOST)
        else:
            yield from _compare(study, record, trial, where)
    known = {record.trial for record in probes} | unread
    for number in sorted(trials.keys() - known):
        yield _without_record(f"{storage}, trial {number}", trials[number])


def _compare(
    study: StudyConfig, record: TrialRecord, trial: StoredTrial, where: str
) -> Iterator[Finding]:
    remedy = Remedy(f"tell Optuna of trial {record.trial}", lambda: _tell(study, record))
    if trial.state == "FAIL":
        return  # Optuna keeps its first result; the run may have been taken up again since
    if record.state in UNFINISHED:
        if trial.finished:
            what = f"is {trial.state}, and the record says {record.state}"
            yield Finding("optuna-state", where, what, LOST)
        else:
            yield from _epochs(study, record, trial, where, remedy)
    elif not trial.finished:
        what = f"is {trial.state}, and the record says {record.state}"
        yield Finding("optuna-state", where, what, "--fix tells Optuna the result", remedy=remedy)
    elif trial.state != (wanted := result_state(study, record).name):
        what = f"is {trial.state}, and the record's state {record.state} is {wanted} there"
        yield Finding("optuna-state", where, what, "nothing: Optuna keeps its result")


def _epochs(
    study: StudyConfig, record: TrialRecord, trial: StoredTrial, where: str, remedy: Remedy
) -> Iterator[Finding]:
    try:
        made = {report.epoch for report in read_epochs(study.paths.run_dir(*record.key))}
    except (UvtexError, ValueError):
        return  # the file has a finding of its own
    if missing := sorted(made - trial.epochs):
        what = f"was not told of the epochs {', '.join(map(str, missing))}"
        yield Finding("optuna-epochs", where, what, "--fix tells Optuna of them", remedy=remedy)


def _without_record(where: str, trial: StoredTrial) -> Finding:
    if trial.finished:
        what = f"is {trial.state}, and has no record"
        return Finding("trial-without-record", where, what, "restore its folder from a copy")
    what = "was asked for, and has no record"
    return Finding("trial-without-record", where, what, "`sweep run` trains it")


def _unchecked(storage: str, error: UvtexError) -> Finding:
    what = f"Optuna's side was not checked: {str(error).splitlines()[0]}"
    return Finding("optuna-unchecked", storage, what, "look again when the storage answers")


def _tell(study: StudyConfig, record: TrialRecord) -> None:
    trials = OptunaStudy(study)
    try:
        tell_run(trials, ActiveRun.load(study, record))
    finally:
        trials.close()


def studies_without_folder(paths: StudyFolder) -> Iterator[Finding]:
    """The findings on Optuna's studies that have no folder in the store of ``paths``."""
    if not paths.optuna.is_file():
        return
    url = sqlite_url(paths.optuna)
    try:
        names = studies_in_optuna(url)
    except UvtexError as error:
        yield _unchecked(str(paths.optuna), error)
        return
    for name, has_results in sorted(names.items()):
        one = StudyFolder(paths.store, name)
        if one.folder.is_dir():
            continue
        where = f"{paths.optuna}, study {name}"
        yield Finding(
            "optuna-without-folder",
            where,
            f"there is no {one.folder}",
            "restore the folder from a copy; a new study of this name would be refused"
            if has_results
            else "--fix deletes it: it holds no result",
            remedy=None if has_results else Remedy(f"delete {where}", partial(forget, url, name)),
        )
