"""``sweep doctor``: looks for everything that is inconsistent in a store, and mends what it can.

The trial directories are right. What disagrees with them is brought up to date, and what nothing
refers to is removed. No result is ever deleted: where a file exists only once, a person decides.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from sweep.driving.session import find_study
from sweep.study.config import StudyConfig
from sweep.study.file import read_saved
from sweep.study.folder import StudyFolder, TrialRecord, study_names, tracking_uri
from sweep.study.lease import driver, lease
from sweep.study.urls import masked
from sweep.tracking.client import ADVICE, TrackingError
from sweep.tracking.holdings.artifact_store import local_folder
from sweep.tracking.holdings.inventory import experiments, read_holdings
from sweep.upkeep.finding import Finding, Remedy, size_of
from sweep.upkeep.mlflow_side import SYNCS, inspect_runs, sync_remedy
from sweep.upkeep.optuna_side import inspect_optuna, studies_without_folder
from sweep.upkeep.orphan_folders import orphan_folders
from sweep.upkeep.registry_side import inspect_registry
from sweep.upkeep.run_files import inspect_run
from sweep.upkeep.study_files import (
    folders_without_settings,
    inspect_study,
    leftover,
    readable_records,
)
from uvtex.errors import UvtexError


@dataclass(frozen=True)
class Diagnosis:
    """What was found."""

    findings: tuple[Finding, ...]
    driven: tuple[str, ...] = ()
    """The studies that a driver runs. They were not looked at."""


def diagnose(store: Path, study: str | None = None) -> Diagnosis:
    """Looks at one study of a store, or at the whole store.

    A study that a driver runs is left out: it changes while one looks.

    Raises:
        UvtexError: there is no such study.
    """
    names = study_names(store) if study is None else [find_study(store, study).name]
    findings: list[Finding] = []
    driven = []
    for name in names:
        paths = StudyFolder(store, name)
        if driver(paths) is not None:
            driven.append(name)
        else:
            findings.extend(_study(paths))
    if study is None:
        findings.extend(_store(store))
    return Diagnosis(tuple(findings), tuple(driven))


def mend(store: Path, study: str | None, say: Callable[[str], None]) -> Diagnosis:
    """Mends what :func:`diagnose` finds and can be mended; returns what is left.

    Args:
        say: is told each thing before it is done, and what of it failed.

    Raises:
        StudyTaken: a driver runs a study.
        UvtexError: there is no such study.
    """
    names = study_names(store) if study is None else [find_study(store, study).name]
    tried: set[str] = set()
    while True:
        with ExitStack() as leases:
            for name in names:
                leases.enter_context(lease(StudyFolder(store, name)))
            found = [finding for name in names for finding in _study(StudyFolder(store, name))]
            if study is None:
                found.extend(_store(store))
            due = [remedy for remedy in _remedies(found) if remedy.name not in tried]
            whole = _apply([remedy for remedy in due if remedy.order <= 1], say)
        # MLflow shows whether a driver runs, so its side is mended when the leases are free again.
        # It never gets the files of a trial directory that could not be mended.
        if whole:
            _apply([remedy for remedy in due if remedy.order > 1], say)
        tried |= {remedy.name for remedy in due}
        left = diagnose(store, study)
        # What was mended may show more: a sync that makes a run anew leaves the old one's files.
        if all(remedy.name in tried for remedy in _remedies(left.findings)):
            return left


def _remedies(findings: Iterable[Finding]) -> list[Remedy]:
    """The remedies of ``findings``, each once, in their order."""
    found = {f.remedy.name: f.remedy for f in findings if f.remedy is not None}
    return sorted(found.values(), key=lambda remedy: remedy.order)


def _apply(remedies: Sequence[Remedy], say: Callable[[str], None]) -> bool:
    """Whether all of ``remedies`` could be applied."""
    whole = True
    for remedy in remedies:
        say(remedy.name)
        try:
            remedy.act()
        except (UvtexError, OSError) as error:
            say(f"failed: {error}")
            whole = False
    return whole


def _study(paths: StudyFolder) -> Iterator[Finding]:
    """The findings on one study."""
    records, problems = readable_records(paths)
    yield from problems
    try:
        study = read_saved(paths.settings).in_store(paths.store)
    except UvtexError as error:
        first = str(error).splitlines()[0].removeprefix(f"{paths.settings}: ")[:300]
        mend = "remove the file, then run `sweep run` with the study file, which writes it anew"
        yield Finding("damaged-file", str(paths.settings), first, mend)
        return
    yield from inspect_study(study)
    in_runs = [finding for record in records for finding in inspect_run(study, record)]
    yield from in_runs
    unread = _unread(paths, {record.trial for record in records})
    yield from inspect_optuna(study, records, unread)
    damaged = any(finding.remedy is None for finding in (*problems, *in_runs))
    try:
        for finding in _mlflow(study, records, unread):
            yield _spared(finding) if damaged else finding
    except TrackingError as error:
        mend = "look again when MLflow answers; the trial directories are complete without it"
        yield Finding("mlflow-unchecked", masked(study.tracking_uri), _cause(error), mend)


def _spared(finding: Finding) -> Finding:
    """``finding``, without a remedy that puts what is in the trial directories into MLflow.

    MLflow may have the only whole copy of a file that is damaged there.
    """
    if finding.remedy is None or not finding.remedy.shows_files:
        return finding
    mend = "restore the damaged trial directories first: MLflow may have the only whole copy"
    return replace(finding, mend=mend, remedy=None)


def _unread(paths: StudyFolder, read: set[int]) -> set[int]:
    """The trials that have a folder, and no record that can be read."""
    folders = {path.name for path in paths.folder.glob("trials/*") if path.is_dir()}
    return {int(name) for name in folders if name.isdecimal()} - read


def _mlflow(
    study: StudyConfig, records: Sequence[TrialRecord], unread: set[int]
) -> Iterator[Finding]:
    held = read_holdings(study)
    if held is not None:
        yield from inspect_runs(study, held, records, unread)
        yield from inspect_registry(study, held, records)
        yield from orphan_folders(study, held)
    elif records:
        what = f"has no experiment {study.name}, and the study has {len(records)} runs"
        yield Finding(
            "mlflow-missing", masked(study.tracking_uri), what, SYNCS, remedy=sync_remedy(study)
        )


def _store(store: Path) -> Iterator[Finding]:
    """The findings on what belongs to no study of the store."""
    yield from folders_without_settings(store)
    for path in sorted(store.glob(".*")):
        yield from leftover(path)
    yield from studies_without_folder(StudyFolder(store, ""))
    try:
        known = experiments(tracking_uri(store))
    except TrackingError as error:
        yield Finding("mlflow-unchecked", tracking_uri(store), _cause(error), "look again later")
        return
    for name, location in known.items():
        if not StudyFolder(store, name).folder.is_dir():
            folder = local_folder(location)
            yield Finding(
                "mlflow-without-folder",
                f"MLflow experiment {name}",
                f"there is no {StudyFolder(store, name).folder}",
                "restore that folder from a copy, or delete the experiment on MLflow's pages",
                bytes=0 if folder is None else size_of(folder),
            )
    for folder in sorted((store / "artifacts").glob("*")):
        there = StudyFolder(store, folder.name).folder.is_dir()
        if folder.is_dir() and folder.name not in known and not there:
            yield Finding(
                "orphan-artifacts",
                str(folder),
                "no study and no experiment of MLflow has this name",
                "remove it if nobody needs it: the only copy of a deleted study's models may be it",
                bytes=size_of(folder),
            )


def _cause(error: TrackingError) -> str:
    return f"MLflow's side was not checked: {str(error).splitlines()[0].removesuffix(ADVICE)}"
