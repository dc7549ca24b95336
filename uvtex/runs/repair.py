"""A run whose files are broken begins anew.

A file is broken by a disk that failed, a copy that was cut, or a person. A process that is killed
breaks none. Training is deterministic, so the epochs that are made again have the same figures.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from uvtex.errors import CheckpointError, DataError, PartialCheckpoint
from uvtex.runs.epochs import read_epochs
from uvtex.runs.folder import RunFolder, clear
from uvtex.runs.header import Header, read_header

ENDING = ".broken"
"""What is added to the name of a broken file."""


def put_aside_broken(run: RunFolder, name: str) -> list[str]:
    """Makes a run that could not be resumed begin anew, and keeps its broken files.

    A broken file is renamed, and the rest of the run is removed. A run whose files are whole, or
    that has none, is left as it is. So is one whose checkpoint another version wrote.

    Args:
        name: the run's ``checkpoint_name``.

    Returns:
        What is wrong, one sentence a file; empty if nothing is.
    """
    found = dict(_broken(run, name))
    problems = []
    for path, problem in found.items():
        kept = f"; it is kept as {put_aside(path).name}" if path.is_file() else ""
        problems.append(problem + kept)
    if found:
        clear(run, name)
    return problems


def put_aside(path: Path) -> Path:
    """Renames a broken file, and returns its new path."""
    aside = path.with_name(path.name + ENDING)
    os.replace(path, aside)
    return aside


def _broken(run: RunFolder, name: str) -> Iterator[tuple[Path, str]]:
    last, best = run.last(name), run.best(name)
    if not last.is_file():
        if run.epochs.is_file():
            yield last, f"{last} is missing"
        return
    try:
        header = read_header(last)
    except PartialCheckpoint:
        yield last, f"{last} is not whole"
        return
    except CheckpointError:
        return  # of another version: a trainer says so
    if (problem := _wrong_reports(run, header)) is not None:
        yield run.epochs, problem
    if not best.is_file():
        yield best, f"{best} is missing"
        return
    try:
        read_header(best)
    except PartialCheckpoint:
        yield best, f"{best} is not whole"
    except CheckpointError:
        return


def _wrong_reports(run: RunFolder, last: Header) -> str | None:
    """What is wrong with the reports of the epochs before the last checkpoint's; None if nothing.

    That epoch's own report is in the checkpoint.
    """
    try:
        known = {report.epoch for report in read_epochs(run.path)}
    except (DataError, UnicodeDecodeError) as error:
        return str(error)
    lacking = set(range(1, last.epoch)) - known
    return f"{run.epochs} lacks epoch {min(lacking)}" if lacking else None
