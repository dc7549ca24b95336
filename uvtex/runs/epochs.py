"""What a trainer says after each epoch, and the file that keeps it."""

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
    """One epoch, as it stands in ``epochs.jsonl``."""

    epoch: int
    """From 1."""
    weights: dict[str, float]
    lr: float
    train: dict[str, float]
    """Loss terms, and their ``total``: means over the epoch's steps."""
    val: dict[str, float]
    """Metrics and loss terms on the validation side; ``total`` by the epoch's weights,
    ``total_ref`` by the default ones, ``margin`` over the run's thresholds."""
    seconds: float
    images: int
    """Training samples seen."""
    best: bool
    """Has the best margin so far."""

    def to_dict(self) -> dict[str, Any]:
        """A mapping that :meth:`from_json` reads back."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> EpochReport:
        """The report that :meth:`to_dict` wrote."""
        return cls(**values)


def read_epochs(run_dir: Path) -> list[EpochReport]:
    """The reports of a run, oldest first; none if it has no ``epochs.jsonl`` yet.

    A last line without its newline was being written when the run was killed, and is left out.

    Raises:
        DataError: another line is not a report.
    """
    path = RunFolder(run_dir).epochs
    if not path.is_file():
        return []
    reports = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(keepends=True), 1):
        if not line.endswith("\n"):
            break
        try:
            reports.append(EpochReport.from_json(json.loads(line)))
        except (json.JSONDecodeError, TypeError) as error:
            raise DataError(f"{path}:{number}: not an epoch report: {error}") from None
    return reports


def best_epoch(reports: Sequence[EpochReport]) -> EpochReport | None:
    """The report with the best margin, the earliest of equals; None if there is none."""
    return max(reports, key=lambda report: report.val["margin"], default=None)


def write_epochs(run_dir: Path, reports: Sequence[EpochReport]) -> None:
    """Writes all reports, atomically: a reader sees this epoch's line whole or not at all."""
    lines = "".join(json.dumps(report.to_dict(), sort_keys=True) + "\n" for report in reports)
    write_atomic(RunFolder(run_dir).epochs, lines.encode())
