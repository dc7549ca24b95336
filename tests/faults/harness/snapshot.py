"""All that must be the same after a fault: a study's records, epochs, files, Optuna and MLflow.

Times, ids that are drawn, and the address of the store are left out or replaced by names.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sweep.launchers.sole_writer import OWNER
from sweep.study.config import StudyConfig
from sweep.study.folder import RECORD, WORKER_LOG, records
from tests.faults.harness.mlflow_snapshot import mlflow_state

TIMES = re.compile(
    r'"(seconds|overhead|started|ended|at)": *(?:[0-9.e+-]+|null)|"sha256": *"[0-9a-f]+"'
)
"""What is another in each study: times, and the digests of files, for a checkpoint's metadata has
no fixed order."""
STORE_FILES = ("optuna.db", "mlflow.db")
OF_THE_HARNESS = ("faults.json", "happened")
WITHOUT_CONTENT = ("report.html", "summary.json", "study.yaml", "registry.json")
"""Files that hold times or addresses: only their names are compared."""


def snapshot(study: StudyConfig, backend: str | None = None) -> dict[str, Any]:
    """The state of a study, as a nested mapping of plain values.

    Args:
        backend: SQLAlchemy's URL of MLflow's database; None: the one in the store.
    """
    uri = backend or f"sqlite:///{study.store / 'mlflow.db'}"
    state = {
        "records": _records(study),
        "epochs": _epochs(study),
        "optuna": _optuna(study),
        "mlflow": mlflow_state(uri, study.name, study.paths.artifacts),
        "files": dict(_files(study)),
    }
    text = json.dumps(state).replace(str(study.store.parent), "<folder>")
    found: dict[str, Any] = json.loads(text)
    return found


def difference(one: Any, other: Any, where: str = "") -> list[str]:
    """What ``other`` has otherwise than ``one``, a line a value; empty if they are the same."""
    if isinstance(one, dict) and isinstance(other, dict):
        lines = []
        for key in sorted(one.keys() | other.keys()):
            place = f"{where}/{key}"
            if key not in other:
                lines.append(f"{place}: is missing, was {_short(one[key])}")
            elif key not in one:
                lines.append(f"{place}: is new: {_short(other[key])}")
            else:
                lines += difference(one[key], other[key], place)
        return lines
    return [] if one == other else [f"{where}: {_short(one)} -> {_short(other)}"]


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) < 300 else f"{text[:300]}..."


def _records(study: StudyConfig) -> dict[str, Any]:
    found = {}
    for record in records(study.paths.folder):
        values = record.model_dump(mode="json", exclude={"started", "ended"})
        if values["gate"] is not None:
            del values["gate"]["at"]
        found[f"{record.trial:04d}/{record.name}"] = values
    return found


def _epochs(study: StudyConfig) -> dict[str, Any]:
    found = {}
    for path in sorted(study.paths.folder.glob("trials/*/*/epochs.jsonl")):
        lines = TIMES.sub("", path.read_text()).splitlines()
        found[f"{path.parts[-3]}/{path.parts[-2]}"] = dict(enumerate(lines, 1))
    return found


def _optuna(study: StudyConfig) -> dict[str, Any]:
    import optuna

    from sweep.driving.sampling.optuna_storage import open_storage

    storage = open_storage(study.optuna_url)
    try:
        loaded = optuna.load_study(study_name=study.name, storage=storage)
        return {
            f"{trial.number:04d}": {
                "state": trial.state.name,
                "params": trial.params,
                "value": trial.values,
                "constraints": dict(trial.constraints),
                "intermediate": {str(k): v for k, v in trial.intermediate_values.items()},
                "user_attrs": trial.user_attrs,
            }
            for trial in loaded.get_trials(deepcopy=False)
        }
    finally:
        storage.remove_session()
        storage.engine.dispose()


def _files(study: StudyConfig) -> Iterator[tuple[str, str]]:
    """Every file of the store but the databases and MLflow's artifacts, and what is in it."""
    for path in sorted(study.store.rglob("*")):
        name = path.relative_to(study.store).as_posix()
        if not path.is_file() or name.startswith("artifacts/") or name in STORE_FILES:
            continue
        if any(part in OF_THE_HARNESS for part in path.parts) or path.name.endswith(".lock"):
            continue
        yield name, content(path, study.store.parent)


def content(path: Path, folder: Path) -> str:
    """A digest of a file without its times; a word for files that are compared by name only."""
    if path.name in WITHOUT_CONTENT or path.suffix in (".log", ".lock"):
        return "there"
    if path.name in (RECORD, WORKER_LOG, OWNER, "driver.json", "spent.json"):
        return "there"
    if path.suffix == ".safetensors":
        return _digest_of_tensors(path)
    data = path.read_bytes()
    if path.suffix in (".json", ".jsonl", ".yaml"):
        text = TIMES.sub("", data.decode()).replace(str(folder), "<folder>")
        data = text.encode()
    return hashlib.sha256(data).hexdigest()[:16]


def _digest_of_tensors(path: Path) -> str:
    from safetensors import safe_open

    digest = hashlib.sha256()
    with safe_open(path, framework="numpy") as file:
        header = TIMES.sub("", file.metadata()["uvtex"])
        digest.update(header.encode())
        for name in sorted(file.keys()):
            digest.update(name.encode() + file.get_tensor(name).tobytes())
    return digest.hexdigest()[:16]
