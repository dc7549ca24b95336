"""An index of a study's runs, so that thousands of trial directories need not be read again.

It is a cache. An entry holds for a run as long as the two files that it was made of have the size
and the time that they had. Whoever finds much of it out of date writes it anew. It may be deleted
at any time, and a store that cannot be written does without.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from pydantic_core import from_json

from sweep.study.config import OBJECTIVE, StudyConfig
from sweep.study.folder import RECORD, UNFINISHED, TrialRecord, read_record
from sweep.study.lease import driver
from sweep.study.look import Flag
from uvtex.errors import UvtexError
from uvtex.files import write_atomic
from uvtex.runs.epochs import read_epochs
from uvtex.runs.folder import RunFolder

VERSION = 1
"""Of the file's form."""
OUT_OF_DATE = 0.02
"""The index is written anew once so great a share of the runs has changed."""
FEWEST = 200
"""With fewer runs, reading them all is as fast."""

EPOCHS = RunFolder(Path()).epochs.name

Stamp = list[int]

_BLANK = TrialRecord(trial=0, stage="probe", schedule="", params={}, epochs=1)
"""Every default of a record. To copy them is ten times as fast as to look them up."""


@dataclass(frozen=True)
class IndexedRun:
    """A run's record, and what most readers ask of its epochs."""

    record: TrialRecord
    """Without its looks, which are most of it."""
    epochs: Sequence[int]
    """The epochs that it has made."""
    values: Sequence[Sequence[float | None]]
    """Of each epoch, the validation metrics that :func:`metrics` names; None where one is absent.
    The last is the margin."""
    names: Sequence[str]

    @property
    def curve(self) -> Iterator[tuple[int, dict[str, float]]]:
        """Each epoch with its metrics."""
        for epoch, row in zip(self.epochs, self.values, strict=True):
            pairs = zip(self.names, row, strict=True)
            yield epoch, {name: value for name, value in pairs if value is not None}

    @cached_property
    def margin(self) -> float:
        """The margin of the best epoch; -inf before the first."""
        return max((row[-1] for row in self.values if row[-1] is not None), default=-float("inf"))


def metrics(study: StudyConfig) -> list[str]:
    """The metrics in the index: those of the thresholds, the objective, and last the margin."""
    named = {threshold.metric for threshold in study.asked_thresholds}
    return [*sorted(named | {OBJECTIVE}), "margin"]


def indexed_runs(study: StudyConfig) -> tuple[list[IndexedRun], bool]:
    """The study's runs as they are to be shown: a run without a driver is ``interrupted``.

    Returns:
        The runs by trial number, the probe before the full runs; and whether all are whole. A run
        whose record cannot be read is left out.
    """
    names = metrics(study)
    index = study.paths.folder / "index.json"
    known, found, changed, whole = _read(index, names), {}, 0, True
    for key, run_dir in _run_dirs(study.paths.folder / "trials"):
        stamp = _stamp(run_dir)
        if stamp is None:
            continue
        entry = known.get(key)
        if entry is None or entry["stamp"] != stamp:
            changed += 1
            if (entry := _entry(key, run_dir, stamp, names)) is None:
                whole = False
                continue
        found[key] = entry
    if len(found) >= FEWEST and changed > OUT_OF_DATE * len(found):
        with suppress(OSError, UvtexError):
            text = json.dumps({"version": VERSION, "metrics": names, "runs": found})
            write_atomic(index, text.encode())
    driven = driver(study.paths) is not None
    runs = [_run(entry, names, driven) for entry in found.values()]
    whole &= all(len(run.epochs) >= (run.record.epochs_made or 0) for run in runs)
    runs.sort(key=lambda r: (r.record.trial, r.record.stage != "probe", r.record.replicate))
    return runs, whole


def _read(index: Path, names: list[str]) -> dict[str, dict[str, Any]]:
    try:
        values = from_json(index.read_bytes())  # twice as fast as json's
        if values["version"] == VERSION and values["metrics"] == names:
            return dict(values["runs"])
    except (OSError, ValueError, KeyError, TypeError):
        pass
    return {}


def _run_dirs(trials: Path) -> Iterator[tuple[str, str]]:
    """``0007/probe`` and its path, for every folder of a trial. As texts: paths are slow."""
    if not trials.is_dir():
        return
    with os.scandir(trials) as numbers:
        for number in numbers:
            if number.is_dir():
                with os.scandir(number.path) as stages:
                    for stage in stages:
                        yield f"{number.name}/{stage.name}", stage.path


def _stamp(run_dir: str) -> Stamp | None:
    """Sizes and times of the record and of the epochs; None if there is no record."""
    try:
        record = os.stat(f"{run_dir}/{RECORD}")
    except OSError:
        return None
    try:
        epochs = os.stat(f"{run_dir}/{EPOCHS}")
    except OSError:
        return [record.st_size, record.st_mtime_ns]
    return [record.st_size, record.st_mtime_ns, epochs.st_size, epochs.st_mtime_ns]


def _entry(key: str, run_dir: str, stamp: Stamp, names: list[str]) -> dict[str, Any] | None:
    """None: the record or the epochs are damaged."""
    try:
        record, epochs = read_record(Path(run_dir)), read_epochs(Path(run_dir))
    except (UvtexError, OSError):
        return None
    if key != f"{record.trial:04d}/{record.name}":
        return None
    return {
        "stamp": stamp,
        "record": record.model_dump(mode="json", exclude={"looks"}, exclude_defaults=True),
        "epochs": [report.epoch for report in epochs],
        "values": [[report.val.get(name) for name in names] for report in epochs],
    }


def _run(entry: Mapping[str, Any], names: list[str], driven: bool) -> IndexedRun:
    values = dict(entry["record"])
    if values.get("state", "running") == "running" and not driven:
        values["state"] = "interrupted"
    record = _record(values)
    return IndexedRun(record, entry["epochs"], entry["values"], names)


def _record(values: dict[str, Any]) -> TrialRecord:
    """A record that was checked when it was read from its own file."""
    if "gate" in values or values.get("state") in UNFINISHED:
        return TrialRecord.model_validate(values)
    if "flag" in values:
        values["flag"] = Flag.model_construct(**values["flag"])
    return _BLANK.model_copy(update=values)
