"""Progress of a running study: a live table on a terminal, plain lines elsewhere."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TextIO

from sweep.decisions.cost import Cost
from sweep.decisions.stopping.ledger import percent
from sweep.driving.after_epoch import audited_because
from sweep.study.folder import TrialRecord
from uvtex.output import rich_console
from uvtex.progress import duration_text
from uvtex.runs.epochs import EpochReport, best_epoch
from uvtex.thresholds import Threshold

if TYPE_CHECKING:
    from rich.table import Table


class ProgressDisplay:
    """The driver's calls, none of which shows anything here. Subclasses override some of them."""

    def started(self, record: TrialRecord, done: int) -> None:
        """A run starts, or continues after ``done`` epochs."""

    def epoch(self, record: TrialRecord, report: EpochReport) -> None:
        """An epoch ended. The record holds the newest look."""

    def flagged(self, record: TrialRecord) -> None:
        """A look flagged a probe. The record holds the look and the flag."""

    def ended(self, record: TrialRecord) -> None:
        """A run ended. The record holds its state and reason."""

    def budget(self, seconds_left: float | None, probes_left: int) -> None:
        """The rest of the time budget, None without one, and the number of probes to start."""

    def cost(self, cost: Cost | None) -> None:
        """The cost of the rest of the study; None if it cannot be forecast yet."""

    def note(self, text: str) -> None:
        """A message for the user."""

    def close(self) -> None:
        """The study has ended, and no call follows."""


class PlainDisplay(ProgressDisplay):
    """One line for each event, for logs and pipes."""

    def __init__(self, thresholds: Sequence[Threshold], out: TextIO) -> None:
        self._thresholds = thresholds
        self._out = out

    def started(self, record: TrialRecord, done: int) -> None:
        after = f" after epoch {done}" if done else ""
        self.note(f"{record.label}: {'continues' if done else 'starts'}{after}")

    def epoch(self, record: TrialRecord, report: EpochReport) -> None:
        values = ", ".join(f"{t.metric} {report.val[t.metric]:.4f}" for t in self._thresholds)
        chance = _chance(record, report.epoch)
        end = "" if chance is None else f", passes with probability {percent(chance)}"
        self.note(
            f"{record.label}: epoch {report.epoch}/{record.epochs}: {values}, "
            f"margin {report.val['margin']:+.3f}{end}, {report.seconds:.1f} s"
        )

    def flagged(self, record: TrialRecord) -> None:
        if (text := _audited(record)) is not None:
            self.note(text)

    def ended(self, record: TrialRecord) -> None:
        self.note(f"{record.label}: {record.state}: {record.reason}")

    def cost(self, cost: Cost | None) -> None:
        if cost is not None and cost.device_hours.high > 0:
            self.note(f"forecast: {cost}")

    def note(self, text: str) -> None:
        print(text, file=self._out, flush=True)


@dataclass(frozen=True)
class RunningRow:
    """One run in the live table."""

    record: TrialRecord
    report: EpochReport | None = None
    best: EpochReport | None = None


ROWS = 18
"""Number of runs shown. The table must fit a terminal of 24 lines."""


class RichDisplay(ProgressDisplay):
    """A table that is redrawn in place, with messages above it."""

    def __init__(self, name: str, thresholds: Sequence[Threshold], out: TextIO) -> None:
        from rich.live import Live

        self._name = name
        self._thresholds = thresholds
        self._rows: dict[tuple[int, str], RunningRow] = {}
        self._caption = ""
        self._cost: Cost | None = None
        self._live = Live(
            console=rich_console(out), refresh_per_second=2, get_renderable=self._draw
        )
        self._live.start()

    def started(self, record: TrialRecord, done: int) -> None:
        self._rows.setdefault(_key(record), RunningRow(record))

    def epoch(self, record: TrialRecord, report: EpochReport) -> None:
        row = self._rows[_key(record)]
        best = best_epoch([report] if row.best is None else [row.best, report])
        self._rows[_key(record)] = RunningRow(record, report, best)

    def flagged(self, record: TrialRecord) -> None:
        if (text := _audited(record)) is not None:
            self.note(text)

    def ended(self, record: TrialRecord) -> None:
        row = self._rows.setdefault(_key(record), RunningRow(record))
        self._rows[_key(record)] = replace(row, record=record)

    def budget(self, seconds_left: float | None, probes_left: int) -> None:
        time = "" if seconds_left is None else f", {duration_text(seconds_left)} of the budget left"
        to_go = "" if self._cost is None else f"\n{self._cost}"
        self._caption = f"{probes_left} probes to start{time}; Ctrl-C stops after the epoch{to_go}"

    def cost(self, cost: Cost | None) -> None:
        self._cost = cost

    def note(self, text: str) -> None:
        self._live.console.print(text)

    def close(self) -> None:
        self._live.stop()

    def lines(self, width: int) -> list[str]:
        """The current table as plain text."""
        console = rich_console(io.StringIO(), width=width, color_system=None)
        with console.capture() as capture:
            console.print(self._draw())
        return capture.get().splitlines()

    def _draw(self) -> Table:
        from rich import box
        from rich.table import Table

        # The layout fits two thresholds into 80 columns.
        table = Table(
            title=f"study {self._name}",
            caption=self._caption,
            box=box.SIMPLE_HEAD,
            pad_edge=False,
            padding=0,
        )
        for column in ("trial", "schedule", "state", "epoch"):
            table.add_column(column, no_wrap=True)
        bounds = [str(threshold).replace(" ", "\n", 1) for threshold in self._thresholds]
        for column in (*bounds, "margin", "passes\nwith"):
            table.add_column(column, justify="right", no_wrap=True)
        for row in list(self._rows.values())[-ROWS:]:
            table.add_row(*self._cells(row), style=STYLES[row.record.state])
        return table

    def _cells(self, row: RunningRow) -> list[Any]:
        from rich.text import Text

        record, best = row.record, row.best.val if row.best else {}
        made = row.report.epoch if row.report else 0
        cells: list[Any] = [
            f"{record.trial:04d}/{record.name}",
            record.schedule,
            record.state,
            f"{made}/{record.epochs}",
        ]
        for threshold in self._thresholds:
            value = best.get(threshold.metric)
            good = value is not None and threshold.slack(value) >= 0
            cells.append(Text(_figure(value), style="green" if good else ""))
        chance = _chance(record)
        shown = "-" if chance is None else percent(chance)
        return [*cells, _figure(best.get("margin"), "+.3f"), shown]


STYLES = {
    "running": "bold",
    "complete": "",
    "promoted": "green",
    "pruned": "dim",
    "failed": "red",
}


def progress_display(name: str, thresholds: Sequence[Threshold], out: TextIO) -> ProgressDisplay:
    """A live table if ``out`` is a terminal, else plain lines."""
    return RichDisplay(name, thresholds, out) if out.isatty() else PlainDisplay(thresholds, out)


def _key(record: TrialRecord) -> tuple[int, str]:
    return record.key


def _chance(record: TrialRecord, epoch: int | None = None) -> float | None:
    """The probability of passing by the last look; None without one, or if not at ``epoch``."""
    if not record.looks or epoch not in (None, record.looks[-1].epoch):
        return None
    return record.looks[-1].chance


def _audited(record: TrialRecord) -> str | None:
    """Why a flagged probe goes on; None if it does not."""
    if record.flag is None or not record.flag.audited:
        return None
    return f"{record.label}: {audited_because(record.looks[-1], record.flag)}"


def _figure(value: float | None, form: str = ".4f") -> str:
    return "-" if value is None else f"{value:{form}}"
