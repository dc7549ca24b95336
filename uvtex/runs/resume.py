"""The state from which a run is resumed, and whether it may be."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from uvtex.config import TrainConfig
from uvtex.errors import CheckpointError
from uvtex.imaging.camera_bank import CameraBank
from uvtex.runs import checkpoint
from uvtex.runs.epochs import EpochReport, read_epochs, write_epochs
from uvtex.runs.folder import RunFolder
from uvtex.runs.header import Header
from uvtex.settings import differences

FREE = {"device", "checkpoint_name", "checkpoint_every", "lpips_backbone"}
"""Settings that may change between a run's start and its resumption."""
MOST_NAMED = 5
"""A message names at most this many settings."""


@dataclass(frozen=True)
class ResumeState:
    """The content of a run's last checkpoint."""

    path: Path
    tensors: dict[str, Tensor]
    header: Header
    report: EpochReport
    bank: CameraBank | None


def read_state(
    run: RunFolder, config: TrainConfig, fingerprints: dict[str, str | None]
) -> ResumeState | None:
    """The content of the run's last checkpoint, or None if the run has none.

    Args:
        fingerprints: the data set's digests, by the names of the header's fields.

    Raises:
        CheckpointError: the checkpoint is broken, or its settings or its data set differ.
    """
    path = run.last(config.checkpoint_name)
    if not path.is_file():
        return None
    tensors, header = checkpoint.read(path)
    _refuse_other_settings(run, path, header.config, config)
    # An older checkpoint lacks the training side's digest and defines the other one differently.
    if header.train_fingerprint is not None and header.fingerprints != fingerprints:
        raise CheckpointError(f"{path}: the data set has changed since; start anew")
    if header.report is None:
        raise CheckpointError(f"{path}: holds no epoch report to resume from; start anew")
    return ResumeState(path, tensors, header, header.report, checkpoint.bank(path, tensors))


def _refuse_other_settings(
    run: RunFolder, path: Path, theirs: TrainConfig, ours: TrainConfig
) -> None:
    found = differences(theirs.model_dump(), ours.model_dump(), ignoring=FREE)
    changed = sorted({key.partition(".")[0] for key in found})
    absent = [key for key in changed if key not in theirs.model_fields_set]
    if absent:
        raise CheckpointError(
            f"{path}: made by a version that had no {', '.join(absent)}; use another run name"
        )
    if found:
        named = [f"{key} was {was}, now {now}" for key, (was, now) in sorted(found.items())]
        more = f" and {len(named) - MOST_NAMED} more" if len(named) > MOST_NAMED else ""
        raise CheckpointError(
            f"{path}: other settings than the run had: {'; '.join(named[:MOST_NAMED])}{more}; "
            f"use the settings of {run.settings}, or another run name"
        )


def restore_reports(run: RunFolder, state: ResumeState) -> list[EpochReport]:
    """The reports up to the last checkpoint's, which a killed run may not have written yet."""
    reports = [r for r in read_epochs(run.path) if r.epoch < state.header.epoch]
    reports.append(state.report)
    write_epochs(run.path, reports)
    return reports
