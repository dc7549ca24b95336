"""Versions whose files are missing or differ, and logged models that no version has."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from sweep.study.config import StudyConfig
from sweep.study.folder import RunKey, TrialRecord
from sweep.tracking.holdings import artifact_store, mending
from sweep.tracking.holdings.inventory import HeldModel, HeldVersion, Holdings
from sweep.tracking.registry.checkpoint_files import best_checkpoint
from sweep.tracking.registry.version_record import MODEL
from sweep.upkeep.finding import Finding, Remedy
from sweep.upkeep.mlflow_side import SYNCS, sync_remedy
from uvtex.errors import UvtexError
from uvtex.files import sha256_of

PROGRAM = "MLmodel"
"""The file of an MLflow model that names all others. It is written last."""


def inspect_registry(
    study: StudyConfig, held: Holdings, records: Sequence[TrialRecord]
) -> Iterator[Finding]:
    """The findings on the study's versions in MLflow's registry, and on its logged models."""
    by_key = {record.key: record for record in records}
    for version in held.versions:
        yield from _version(study, version, by_key)
    there = {(version.trial, version.run) for version in held.versions}
    for record in records:
        if record.gate is None or not record.gate.registered:
            continue
        if (str(record.trial), record.name) not in there:
            yield Finding(
                "version-missing",
                f"{record.trial:04d}/{record.name}",
                f"was registered as version {record.gate.version}, and no version is of this run",
                SYNCS,
                remedy=sync_remedy(study),
            )
    for model in held.models:
        if model.name == MODEL and not held.has_version(model.model_id):
            yield _orphan(study, model, records)


def _version(
    study: StudyConfig, version: HeldVersion, records: Mapping[RunKey, TrialRecord]
) -> Iterator[Finding]:
    where = f"version {version.version}" + (f" ({version.alias})" if version.alias else "")
    uri = study.tracking_uri
    files = artifact_store.files(uri, version.location)
    stored = sorted(name for name in files if name.endswith(".safetensors"))
    what = None
    if PROGRAM not in files or not stored:
        what = "its files are missing in MLflow's artifact store"
    elif version.digest and version.digest != _digest(uri, version.location, stored[0]):
        what = f"its {stored[0]} is not the checkpoint that was registered"
    if what is not None:
        command = study.paths.command("sync")
        mend = f"restore {version.location} from a copy, or delete the version and run `{command}`"
        yield Finding("version-damaged", where, what, mend)
    record = records.get((int(version.trial), version.run)) if version.trial.isdecimal() else None
    if record is not None:
        yield from _against_trial(study, version, record, where)


def _digest(uri: str, location: str, name: str) -> str:
    with tempfile.TemporaryDirectory() as scratch:
        return sha256_of(artifact_store.fetch(uri, location, name, Path(scratch)))


def _against_trial(
    study: StudyConfig, version: HeldVersion, record: TrialRecord, where: str
) -> Iterator[Finding]:
    try:
        best = best_checkpoint(study.paths.run_dir(*record.key))
    except UvtexError:
        return  # it is missing, which is a finding of its own
    if version.digest and sha256_of(best) != version.digest:
        yield Finding(
            "other-checkpoint",
            str(best),
            f"is not the checkpoint that {where} was made from",
            "restore it from the version's files: "
            f"{artifact_store.local_folder(version.location) or version.location}",
        )


def _orphan(study: StudyConfig, model: HeldModel, records: Sequence[TrialRecord]) -> Finding:
    """A model that is whole is superfluous only while its checkpoint is in a trial directory."""
    uri = study.tracking_uri
    needless = not model.ready or model.digest in set(_digests(study, records))
    size = sum(artifact_store.files(uri, model.location).values())
    state = "whole" if model.ready else "not finished"
    return Finding(
        "orphan-model",
        f"logged model {model.model_id}",
        f"no version has it ({state})",
        "--fix deletes it; the checkpoint that it was made from stays in the trial directory"
        if needless
        else "its checkpoint is in no trial directory: register it, or delete it on MLflow's pages",
        bytes=size,
        remedy=Remedy(
            f"delete the logged model {model.model_id}",
            lambda: mending.delete_model(uri, model),
            order=2,
        )
        if needless
        else None,
    )


def _digests(study: StudyConfig, records: Sequence[TrialRecord]) -> Iterator[str]:
    """The digests of the best checkpoints of all full runs."""
    for record in records:
        if record.stage == "full":
            with suppress(UvtexError):
                yield sha256_of(best_checkpoint(study.paths.run_dir(*record.key)))
