"""Refuses to go on with a study whose data set has changed.

The figures of two trials can be compared only if both were trained and measured on the same data.
Two digests are kept in the study's folder. The first covers the manifest and the size of every
file. It takes no time, and is compared before anything runs. The second covers the content of both
sides of the split. A run's checkpoints hold it, and it is compared at the run's first epoch.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

from sweep.study.config import StudyConfig
from sweep.study.folder import TrialRecord
from uvtex.data import manifest
from uvtex.errors import ConfigError, UvtexError
from uvtex.files import write_atomic
from uvtex.runs.folder import RunFolder
from uvtex.runs.header import read_header

INVENTORY = "inventory"


def inventory(folder: Path) -> str:
    """Digest of a data set's manifest and of the size of each file, in hexadecimal.

    Raises:
        DataError: the manifest cannot be used.
    """
    records = manifest.read(folder).records
    digest = hashlib.sha256((folder / "manifest.json").read_bytes())
    names = {
        name
        for record in records
        for field in manifest.PATH_FIELDS
        if (name := getattr(record, field)) is not None
    }
    for name in sorted(names):
        try:
            size = os.stat(folder / name).st_size
        except OSError:  # a composed view may be absent
            size = -1
        digest.update(f"{name}\0{size}\n".encode())
    return digest.hexdigest()


def check_data(study: StudyConfig, trials: bool) -> None:
    """Compares the data set with the one of the study's trials, and records it if there are none.

    Args:
        trials: whether the study has trials.

    Raises:
        ConfigError: the data set has changed.
        DataError: the data set cannot be used.
    """
    known = _read(study)
    found = inventory(study.data.path)
    if trials and known.get(INVENTORY, found) != found:
        raise ConfigError(_changed(study))
    if known.get(INVENTORY) != found:
        _write(study, {INVENTORY: found})


def check_run(study: StudyConfig, record: TrialRecord, checkpoint_name: str) -> None:
    """Compares the data that a run was trained on with that of the study's earlier runs.

    Raises:
        ConfigError: the content of the data set has changed.
    """
    run_dir = study.paths.run_dir(*record.key)
    last = RunFolder(run_dir).last(checkpoint_name)
    if not last.is_file():
        return
    known, found = _read(study), read_header(last).fingerprints
    if any(known.get(key, value) != value for key, value in found.items()):
        raise ConfigError(_changed(study))
    if not known.keys() >= found.keys():
        _write(study, known | found)


def same_data(study: StudyConfig, other: StudyConfig) -> bool:
    """Whether two studies were made on the same data, as far as their digests say.

    A study whose data was never recorded has other data than any.

    Raises:
        DataError: the study's own data was never recorded, and cannot be used.
    """
    ours, theirs = _read(study), _read(other)
    if INVENTORY not in ours:
        ours[INVENTORY] = inventory(study.data.path)
    return INVENTORY in theirs and all(ours[key] == theirs[key] for key in ours.keys() & theirs)


def _changed(study: StudyConfig) -> str:
    return (
        f"{study.data.path}: the data set has changed since study {study.name!r} began, so its "
        "trials could not be compared; restore the data set, or give the study another name"
    )


def _read(study: StudyConfig) -> dict[str, Any]:
    path = study.paths.data
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise UvtexError(f"{path}: cannot be read: {error}; remove the file") from None
    return values if isinstance(values, dict) else {}


def _write(study: StudyConfig, values: dict[str, Any]) -> None:
    write_atomic(study.paths.data, (json.dumps(values, indent=1) + "\n").encode())
