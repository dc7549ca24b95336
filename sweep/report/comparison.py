"""Runs side by side: their schedules, their best figures, and the differences to the first."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sweep.study.folder import RECORD, StudyFolder, read_record, study_names
from sweep.tracking import client as seam
from uvtex.config import TERMS, TrainConfig
from uvtex.errors import UvtexError
from uvtex.metric_catalogue import higher_is_better
from uvtex.runs.epochs import best_epoch, read_epochs
from uvtex.runs.folder import RunFolder

if TYPE_CHECKING:
    from rich.table import Table

NAMED = re.compile(r"(?P<study>[A-Za-z0-9][\w.-]*)/(?P<trial>\d+)(?:/(?P<stage>probe|full))?")
RUN_ID = re.compile(r"[0-9a-f]{32}")

Value = float | str


@dataclass(frozen=True)
class ComparedRun:
    """One run: what it was trained with, and the figures of its best epoch."""

    run: str
    """As it was asked for."""
    label: str
    state: str
    settings: dict[str, Value]
    metrics: dict[str, float]


@dataclass(frozen=True)
class Comparison:
    """Rows in the order asked for; ``str()`` of it is a table for people."""

    rows: tuple[ComparedRun, ...]

    @property
    def differences(self) -> list[dict[str, float]]:
        """For each row, metric -> its figure minus the first row's, where both have it."""
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
        from rich.console import Console

        width = 24 + 30 * len(self.rows)
        buffer = io.StringIO()
        Console(file=buffer, width=width, color_system=None).print(_table(self))
        return buffer.getvalue().rstrip()


def compare(runs: Sequence[str], uri: str, store: Path | None = None) -> Comparison:
    """The named runs.

    Args:
        runs: each ``STUDY/7`` (its full run if there is one, else its probe), ``STUDY/7/probe``,
            a trial directory, or an MLflow run id.
        uri: MLflow's tracking URI, for run ids.
        store: the folder that holds ``studies``; by default that of a local ``uri``.

    Raises:
        UvtexError: a run that does not exist, or a name that means nothing.
    """
    place = store or _store_of(uri)
    return Comparison(tuple(_find(run, uri, place) for run in runs))


def _find(run: str, uri: str, store: Path) -> ComparedRun:
    if (Path(run) / RECORD).is_file():
        return _from_folder(run, Path(run))
    named = NAMED.fullmatch(run)
    if named is not None:
        return _from_folder(run, _folder(run, named, store))
    if RUN_ID.fullmatch(run):
        return _from_mlflow(run, uri)
    raise UvtexError(
        f"{run}: names no run; give STUDY/7, STUDY/7/full, a trial directory, or an MLflow run id"
    )


def _folder(run: str, named: re.Match[str], store: Path) -> Path:
    paths = StudyFolder(store, named["study"])
    if not paths.folder.is_dir():
        known = ", ".join(study_names(store)) or "-"
        raise UvtexError(f"{run}: no such study in {store}; there are: {known}")
    stages = [named["stage"]] if named["stage"] else ["full", "probe"]
    for stage in stages:
        folder = paths.run_dir(int(named["trial"]), stage)  # type: ignore[arg-type]
        if (folder / RECORD).is_file():
            return folder
    raise UvtexError(
        f"{run}: study {named['study']} has no such run; `sweep status {named['study']}` lists them"
    )


def _from_folder(run: str, folder: Path) -> ComparedRun:
    record = read_record(folder)
    settings: dict[str, Value] = {"schedule": record.schedule}
    config = RunFolder(folder).read_settings()
    if config is not None:
        settings |= _settings(config)
    best = best_epoch(read_epochs(folder))
    metrics = {} if best is None else {"epoch": float(best.epoch), **best.val}
    label = f"{record.trial:04d} {record.stage} {record.schedule}"
    return ComparedRun(run, label, record.state, settings, metrics)


def _from_mlflow(run: str, uri: str) -> ComparedRun:
    with seam.mapped_errors(f"look up run {run}", uri):
        found = seam.client(uri).get_run(run)
    params, tags = found.data.params, found.data.tags
    names = ["schedule", *_weight_names(), "lr", "lr_scheduler", "lr_scheduler_tmax", "epochs"]
    settings: dict[str, Value] = {n: _value(params[n]) for n in names if n in params}
    best = {
        name.removeprefix("best/"): value
        for name, value in found.data.metrics.items()
        if name.startswith("best/")
    }
    return ComparedRun(run, str(found.info.run_name), tags.get("sweep.state", "-"), settings, best)


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


def _weight_names() -> list[str]:
    return [f"w_{term}{end}" for term in TERMS for end in ("", "_end")]


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
        table.add_row(name, *(_text(value) for value in values), style=style)
    table.add_section()
    for name in _union([row.metrics for row in rows]):
        table.add_row(name, *_cells(name, comparison))
    return table


def _cells(name: str, comparison: Comparison) -> list[str]:
    cells = []
    for index, row in enumerate(comparison.rows):
        if name not in row.metrics:
            cells.append("-")
            continue
        text = f"{row.metrics[name]:.0f}" if name == "epoch" else f"{row.metrics[name]:.4f}"
        change = comparison.differences[index].get(name)
        if index and change is not None and name != "epoch":
            higher = higher_is_better(name)
            better = (change > 0) == higher
            colour = "dim" if change == 0 or higher is None else "green" if better else "red"
            text += f" [{colour}]{change:+.4f}[/]"
        cells.append(text)
    return cells


def _union(mappings: Sequence[Mapping[str, Any]]) -> list[str]:
    return list(dict.fromkeys(name for mapping in mappings for name in mapping))


def _text(value: Value | None) -> str:
    if value is None:
        return "-"
    return value if isinstance(value, str) else f"{value:g}"


def _value(text: str) -> Value:
    try:
        return float(text)
    except ValueError:
        return text


def _store_of(uri: str) -> Path:
    return Path(uri.removeprefix("sqlite:///")).parent if seam.is_local(uri) else Path("mlruns")
