"""What is wrong with the files of a study that belong to no run, and with those of a store."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

from sweep.study.calibration import read_calibration
from sweep.study.config import StudyConfig
from sweep.study.folder import RECORD, RUN_NAME, StudyFolder, TrialRecord, read_record
from sweep.study.lease import driver, holder
from sweep.study.summary_record import read_summary
from sweep.upkeep.finding import Finding, Remedy, removal, size_of
from uvtex.errors import UvtexError
from uvtex.files import LEFTOVER

TRIAL_NAME = re.compile(r"\d{4,}")
UPLOAD = ".artifact.uploading."
"""How the names of MLflow's unfinished artifacts begin."""


def readable_records(paths: StudyFolder) -> tuple[list[TrialRecord], list[Finding]]:
    """The records that can be read, by trial, and the findings on trial directories without one."""
    found: list[TrialRecord] = []
    problems: list[Finding] = []
    for run_dir in sorted(paths.folder.glob("trials/*/*")):
        if not run_dir.is_dir() or run_dir.name.startswith("."):
            continue
        if not (run_dir / RECORD).is_file():
            if any(path.is_file() and path.name != ".lock" for path in run_dir.rglob("*")):
                problems.append(_without_record(run_dir))
            continue
        try:
            record = read_record(run_dir)
        except UvtexError as error:
            problems.append(
                Finding(
                    "damaged-record",
                    str(run_dir / RECORD),
                    str(error).splitlines()[0].removeprefix(f"{run_dir / RECORD}: ")[:300],
                    "restore it from a copy; or, if the trial had not ended, remove it: "
                    "`sweep run` writes it anew",
                )
            )
            continue
        place = (run_dir.parent.name, run_dir.name)
        if place != (f"{record.trial:04d}", record.name) or run_dir.is_symlink():
            problems.append(
                Finding(
                    "record-elsewhere",
                    str(run_dir),
                    f"holds the record of {record.trial:04d}/{record.name}, or is a link",
                    "move the folder to where it belongs, or out of the study",
                )
            )
            continue
        found.append(record)
    return sorted(found, key=lambda r: (r.trial, r.stage != "probe", r.replicate)), problems


def _without_record(run_dir: Path) -> Finding:
    known = TRIAL_NAME.fullmatch(run_dir.parent.name) and RUN_NAME.fullmatch(run_dir.name)
    return Finding(
        "files-without-record",
        str(run_dir),
        f"holds files, and no {RECORD}",
        f"restore {RECORD} from a copy, or remove the folder; a trial that had not ended goes on "
        "with `sweep run`"
        if known
        else "no run of a study has such a folder; move it out of the study",
        bytes=size_of(run_dir),
    )


def inspect_study(study: StudyConfig) -> Iterator[Finding]:
    """The findings on the files in the study's folder. No driver runs the study."""
    paths = study.paths
    note = holder(paths)
    if note is not None and note.get("pid") != os.getpid():  # that of a command that mends is ours
        yield Finding(
            "left-lock",
            str(paths.driver),
            "names a driver that has died",
            "--fix removes it",
            remedy=removal(paths.driver),
        )
    yield from _unreadable(paths.summary, lambda: read_summary(study), _rewrite_summary(study))
    yield from _unreadable(paths.calibration, lambda: read_calibration(paths))
    yield from _unreadable(paths.data, lambda: json.loads(paths.data.read_bytes()))
    yield from leftovers(paths.folder)


def _unreadable(
    path: Path, read: Callable[[], object], remedy: Remedy | None = None
) -> Iterator[Finding]:
    if not path.is_file():
        return
    try:
        read()
    except (UvtexError, ValueError) as error:
        first = str(error).splitlines()[0].removeprefix(f"{path}: ")[:300]
        mend = "--fix writes it anew from the records" if remedy else "restore it from a copy"
        yield Finding("damaged-file", str(path), first, mend, remedy=remedy)


def _rewrite_summary(study: StudyConfig) -> Remedy:
    def act() -> None:
        from sweep.report.summary import summarise
        from sweep.study.summary_record import write_summary

        study.paths.summary.unlink(missing_ok=True)
        write_summary(study, summarise(study))

    return Remedy(f"write {study.paths.summary} anew", act, order=1)


def leftovers(folder: Path) -> Iterator[Finding]:
    """The temporary files of writers that died. Nobody writes into ``folder`` now."""
    for path in sorted(folder.rglob(".*")):
        yield from leftover(path)


def leftover(path: Path) -> Iterator[Finding]:
    """The finding on ``path`` if a writer that died left it."""
    unfinished_folder = path.name.endswith(".part") and path.is_dir()
    if LEFTOVER.fullmatch(path.name) or unfinished_folder or path.name.startswith(UPLOAD):
        yield Finding(
            "leftover",
            str(path),
            "a process that died left it half-written",
            "--fix removes it",
            bytes=size_of(path),
            remedy=removal(path),
        )


def folders_without_settings(store: Path) -> Iterator[Finding]:
    """Study folders without ``study.yaml``."""
    for folder in sorted((store / "studies").glob("*")):
        paths = StudyFolder(store, folder.name)
        if not folder.is_dir() or paths.settings.is_file() or driver(paths) is not None:
            continue
        results = any(folder.glob(f"trials/*/*/{RECORD}")) or any(
            path.suffix in (".json", ".jsonl", ".safetensors") and path != paths.driver
            for path in folder.rglob("*")
        )
        yield Finding(
            "study-without-settings",
            str(folder),
            f"has no {paths.settings.name}",
            "run `sweep run` with its study file, which writes it anew"
            if results
            else "--fix removes it: it holds no result",
            bytes=size_of(folder),
            remedy=None if results else removal(folder),
        )
