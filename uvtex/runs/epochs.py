"""The report of an epoch, and the file that holds the reports of a run."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from uvtex.errors import DataError
from uvtex.files import write_atomic
from uvtex.runs.folder import RunFolder


@dataclass(frozen=True)
class EpochReport:
    """One finished epoch: a line of ``epochs.jsonl``."""

    epoch: int
    """Counted from 1."""
    weights: dict[str, float]
    """The weight of each scheduled loss term in this epoch."""
    lr: float
    """The learning rate of this epoch."""
    train: dict[str, float]
    """Means of the loss terms and of their ``total`` over the epoch's steps."""
    val: dict[str, float]
    """Metrics and loss terms on the validation side. ``total`` uses the epoch's weights,
    ``total_ref`` the default weights, ``margin`` the run's thresholds."""
    seconds: float
    """Wall-clock time of training and validation."""
    images: int
    """Training samples in the epoch."""
    best: bool
    """Whether the margin is the best so far."""

    def to_dict(self) -> dict[str, Any]:
        """A mapping that :meth:`from_json` reads back."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> EpochReport:
        """The report that :meth:`to_dict` wrote."""
        return cls(**values)


def read_epochs(run_dir: Path) -> list[EpochReport]:
    """The reports of a run, oldest first; an empty list before its first epoch has ended.

    A last line without a newline is ignored: the run was killed while it was written.

    Raises:
        DataError: any other line is not a report, or the file is no text.
    """
    path = RunFolder(run_dir).epochs
    if not path.is_file():
        return []
    reports = []
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: holds no epoch reports: {error}") from None
    for number, line in enumerate(text.splitlines(keepends=True), 1):
        if not line.endswith("\n"):
            break
        try:
            reports.append(EpochReport.from_json(json.loads(line)))
        except (json.JSONDecodeError, TypeError) as error:
            raise DataError(f"{path}:{number}: not an epoch report: {error}") from None
    return reports


def best_epoch(reports: Sequence[EpochReport]) -> EpochReport | None:
    """The report with the largest margin, the earliest of equals; None for no reports."""
    return max(reports, key=lambda report: report.val["margin"], default=None)


def write_epochs(run_dir: Path, reports: Sequence[EpochReport]) -> None:
    """Writes all reports atomically, so no reader ever sees half a line."""
    lines = "".join(json.dumps(report.to_dict(), sort_keys=True) + "\n" for report in reports)
    write_atomic(RunFolder(run_dir).epochs, lines.encode())
