"""Compares runs: their schedules, their best metrics, and the differences to the first run."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sweep.report.study_data import setting_text
from sweep.study.folder import TrialRecord, read_record
from sweep.tracking.run_lookup import find_run
from uvtex.config import TERMS, TrainConfig
from uvtex.metric_catalogue import higher_is_better
from uvtex.output import rich_console
from uvtex.runs.epochs import best_epoch, read_epochs
from uvtex.runs.folder import RunFolder
from uvtex.settings import flatten

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

Value = float | str


@dataclass(frozen=True)
class ComparedRun:
    """One run: its training settings, and the metrics of its best epoch."""

    run: str
    """The name by which the run was asked for."""
    label: str
    state: str
    settings: dict[str, Value]
    """The schedule, and what one of the compared runs' studies searched beside it."""
    metrics: dict[str, float]


@dataclass(frozen=True)
class Comparison:
    """The compared runs in the order asked for. ``str()`` of a comparison is a table for people."""

    rows: tuple[ComparedRun, ...]

    @property
    def differences(self) -> list[dict[str, float]]:
        """For each row: metric -> the row's value minus the first row's, where both have one."""
        first = self.rows[0].metrics
        return [
            {name: row.metrics[name] - first[name] for name in row.metrics if name in first}
            for row in self.rows
        ]

    def to_dict(self) -> list[dict[str, Any]]:
        """The rows as plain values, each with its ``differences``."""
        return [
            {**asdict(row), "differences": difference}
            for row, difference in zip(self.rows, self.differences, strict=True)
        ]

    def __rich__(self) -> Table:
        return _table(self)

    def __str__(self) -> str:
        width = 24 + 30 * len(self.rows)
        buffer = io.StringIO()
        rich_console(buffer, width=width, color_system=None).print(_table(self))
        return buffer.getvalue().rstrip()


def compare(runs: Sequence[str], uri: str, store: Path) -> Comparison:
    """The comparison of ``runs``, read from their trial directories.

    Args:
        runs: each ``STUDY/7`` (its full run if there is one, else its probe), ``STUDY/7/probe``,
            a trial directory, or an MLflow run id.
        uri: MLflow's tracking URI, for run ids.
        store: the folder that holds ``studies``.

    Raises:
        UvtexError: a run does not exist, or its name has none of these forms.
    """
    folders = [find_run(run, uri, store) for run in runs]
    records = [read_record(folder) for folder in folders]
    searched = _union([record.params for record in records])
    each = zip(runs, folders, records, strict=True)
    return Comparison(tuple(_read(*one, searched) for one in each))


def _read(run: str, folder: Path, record: TrialRecord, searched: Sequence[str]) -> ComparedRun:
    settings: dict[str, Value] = {"schedule": record.schedule}
    config = RunFolder(folder).read_settings()
    if config is not None:
        settings |= _settings(config)
        values = flatten(config.model_dump())
        settings |= {name: values[name] for name in searched if values.get(name) is not None}
    best = best_epoch(read_epochs(folder))
    metrics = {} if best is None else {"epoch": float(best.epoch), **best.val}
    label = f"{record.trial:04d} {record.name} {record.schedule}"
    return ComparedRun(run, label, record.state, settings, metrics)


def _settings(config: TrainConfig) -> dict[str, Value]:
    out: dict[str, Value] = {}
    for term in TERMS:
        ramp = getattr(config.schedule, term)
        out[f"w_{term}"] = ramp.start
        out[f"w_{term}_end"] = ramp.start if ramp.end is None else ramp.end
    out["lr"] = config.lr
    out["lr_scheduler"] = config.schedule.lr_scheduler
    out["lr_scheduler_tmax"] = float(config.schedule.lr_scheduler_tmax or config.epochs)
    out["epochs"] = float(config.epochs)
    return out


def _table(comparison: Comparison) -> Table:
    from rich import box
    from rich.table import Table

    rows = comparison.rows
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("")
    for row in rows:
        table.add_column(f"{row.label}\n{row.state}", justify="right", no_wrap=True)
    for name in _union([row.settings for row in rows]):
        values = [row.settings.get(name) for row in rows]
        style = "bold" if len(set(values)) > 1 else "dim"
        table.add_row(name, *map(setting_text, values), style=style)
    table.add_section()
    for name in _union([row.metrics for row in rows]):
        table.add_row(name, *_cells(name, comparison))
    return table


def _cells(name: str, comparison: Comparison) -> list[str | Text]:
    from rich.text import Text

    cells: list[str | Text] = []
    for index, row in enumerate(comparison.rows):
        if name not in row.metrics:
            cells.append("-")
            continue
        text = Text(f"{row.metrics[name]:.0f}" if name == "epoch" else f"{row.metrics[name]:.4f}")
        change = comparison.differences[index].get(name)
        if index and change is not None and name != "epoch":
            higher = higher_is_better(name)
            better = (change > 0) == higher
            colour = "dim" if change == 0 or higher is None else "green" if better else "red"
            text.append(f" {change:+.4f}", style=colour)
        cells.append(text)
    return cells


def _union(mappings: Sequence[Mapping[str, Any]]) -> list[str]:
    return list(dict.fromkeys(name for mapping in mappings for name in mapping))
