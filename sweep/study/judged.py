"""The figures by which a full run is judged, and which people are told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from sweep.study.config import StudyConfig
from sweep.study.folder import TrialRecord
from uvtex.runs.epochs import best_epoch, read_epochs
from uvtex.runs.folder import RunFolder
from uvtex.runs.header import read_header
from uvtex.runs.test_figures import read_test_figures
from uvtex.thresholds import margin


@dataclass(frozen=True)
class Judged:
    """The metrics of a run's best checkpoint on one side of the split."""

    side: Literal["test", "validation"]
    metrics: Mapping[str, float]
    definitions: Mapping[str, str]
    """The definitions by which the metrics were measured."""
    fingerprint: str
    """Digest of that side. Figures of equal digests can be compared."""


def has_passed(study: StudyConfig, record: TrialRecord, found: Judged | None) -> bool:
    """Whether a run counts as a full run that passed, for those who read about the study.

    The gate's answer counts where there is one. Without one, a run that meets the thresholds counts
    if no other replicate can still speak against it.

    Args:
        found: the figures by which the run is judged.
    """
    if record.stage != "full" or record.state != "complete":
        return False
    if record.gate is not None:
        return record.gate.registered and not record.gate.unproven
    if found is None or study.replicates > 1:
        return False
    return margin(found.metrics, study.thresholds) >= 0


def judged(run_dir: Path) -> Judged | None:
    """The figures of the run in ``run_dir``; None if it has none.

    They are those of the test side where there is one. Without one they are the best epoch's on the
    validation side, which flatter: the epoch was chosen by them.

    Raises:
        UvtexError: a file of the run is damaged.
    """
    measured = read_test_figures(run_dir)
    if measured is not None:
        return Judged("test", measured.metrics, measured.metric_versions, measured.test_fingerprint)
    best = best_epoch(read_epochs(run_dir))
    if best is None:
        return None
    run = RunFolder(run_dir)
    config = run.read_settings()
    checkpoint = None if config is None else run.best(config.checkpoint_name)
    if checkpoint is None or not checkpoint.is_file():
        return Judged("validation", best.val, {}, "")
    header = read_header(checkpoint)
    return Judged("validation", best.val, header.metric_versions, header.data_fingerprint)
