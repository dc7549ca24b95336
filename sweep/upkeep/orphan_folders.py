"""Folders in a local artifact store that belong to no run and no logged model of MLflow."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from sweep.study.config import StudyConfig
from sweep.tracking.holdings import artifact_store
from sweep.tracking.holdings.inventory import Holdings
from sweep.upkeep.finding import Finding, removal, size_of
from uvtex.files import sha256_of

RESULTS = ("*.safetensors", "epochs.jsonl")
"""The files that cannot be made again. All others follow from them."""


def orphan_folders(study: StudyConfig, held: Holdings) -> Iterator[Finding]:
    """The findings on a study's folder in the artifact store.

    A run in MLflow's bin has no right to its files if a run of the same trial is there. Files whose
    like is in no trial directory are left to a person.
    """
    folder = artifact_store.local_folder(held.location)
    if folder is None or not folder.is_dir():
        return
    living = {run.key for run in held.runs}
    runs = {run.run_id for run in held.runs}
    runs |= {run.run_id for run in held.deleted if run.key not in living or not run.name}
    models = {model.model_id for model in held.models}
    for place, known in ((folder, runs), (folder / "models", models)):
        for path in sorted(place.glob("*")):
            known_here = path.name in known or held.has_version(path.name)
            if not path.is_dir() or path == folder / "models" or known_here:
                continue
            if size := size_of(path):
                yield _finding(study, path, size)


def _finding(study: StudyConfig, path: Path, size: int) -> Finding:
    copied = _has_copies(path, study.paths.folder)
    return Finding(
        "orphan-artifacts",
        str(path),
        "no run and no model of MLflow has these files",
        "--fix removes them; the trial directories have the same results"
        if copied
        else "remove them if nobody needs them: the trial directories have other results",
        bytes=size,
        remedy=removal(path) if copied else None,
    )


def _has_copies(orphan: Path, study_folder: Path) -> bool:
    """Whether each result in ``orphan`` is in the study's folder too."""
    by_size: dict[tuple[str, int], list[Path]] = defaultdict(list)
    for pattern in RESULTS:
        for path in study_folder.rglob(pattern):
            by_size[path.suffix, path.stat().st_size].append(path)
    return all(
        any(sha256_of(one) == sha256_of(path) for one in by_size[path.suffix, path.stat().st_size])
        for pattern in RESULTS
        for path in orphan.rglob(pattern)
    )
