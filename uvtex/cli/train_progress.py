"""Text that ``uvtex train`` shows: the bar while it runs, a line an epoch, and the summary."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console, RenderableType
from rich.progress import BarColumn, Progress, TextColumn
from rich.text import Text

from uvtex.output import rich_console, stdout
from uvtex.progress import Eta
from uvtex.runs.folder import RunFolder

if TYPE_CHECKING:
    from uvtex.config import TrainConfig
    from uvtex.runs.epochs import EpochReport
    from uvtex.runs.test_figures import FinalFigures

RECENT = 5
"""Number of last epochs whose mean duration predicts the next ones."""
UNKNOWN = "time left not known yet"


class Bar(Progress):
    """Two terminal lines: the steps of the current epoch with the time left, and last metrics."""

    def __init__(
        self,
        config: TrainConfig,
        steps: int,
        console: Console,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``steps`` is the number of training steps in an epoch."""
        self._metrics = "metrics follow the first epoch"  # super().__init__ draws it
        super().__init__(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=None),
            TextColumn("{task.fields[doing]}, {task.fields[left]}", markup=False),
            console=console,
            transient=True,
            expand=True,
        )
        self._config, self._steps = config, steps
        self._epoch, self._eta = 1, Eta(clock, recent=RECENT)
        self._task = self.add_task(self._description, total=steps, doing="starting", left=UNKNOWN)

    def begin(self, reports: Sequence[EpochReport]) -> None:
        """Starts the first epoch after ``reports``, the epochs that an earlier run finished."""
        self._epoch = len(reports) + 1
        self._eta.skipped()
        if reports:
            self._show_metrics(reports[-1])
        self.update(self._task, description=self._description)

    def step(self, stage: str, done: int, total: int, left: str = "") -> None:
        """Moves the bar to step ``done`` of the epoch; see :class:`uvtex.progress.Progress`."""
        doing = f"step {done}/{total}" if done < total else "validating"
        self.update(self._task, completed=done, doing=doing, left=self._left(done))

    def epoch(self, report: EpochReport) -> None:
        """Ends an epoch and its validation: prints its line above the bar."""
        # All output goes through this console. Text from elsewhere would land inside the bar.
        self.console.print(epoch_line(report, self._config))
        self._eta.done()
        self._epoch = report.epoch + 1
        self._show_metrics(report)
        if self._epoch <= self._config.epochs:
            self.update(self._task, description=self._description, left=self._left(0))
            self.update(self._task, completed=0, doing=f"step 0/{self._steps}")

    def get_renderables(self) -> Iterable[RenderableType]:
        yield from super().get_renderables()
        yield Text(self._metrics, style="dim", no_wrap=True, overflow="ellipsis")

    @property
    def _description(self) -> str:
        return f"epoch {self._epoch}/{self._config.epochs}"

    def _show_metrics(self, report: EpochReport) -> None:
        metrics = threshold_metrics(report.val, self._config)
        best = ", the best so far" if report.best else ""
        self._metrics = f"epoch {report.epoch}: {metrics}  margin {report.val['margin']:+.3f}{best}"

    def _left(self, step: int) -> str:
        # Until the first epoch ends, its duration is extrapolated from its steps, without the
        # validation.
        expected = self._eta.elapsed / step * self._steps if step else None
        return self._eta.text(self._config.epochs - self._epoch + 1, expected) or UNKNOWN


def terminal_bar(config: TrainConfig, steps: int) -> Bar | None:
    """A bar of ``steps`` steps an epoch; None unless both outputs are a terminal."""
    console = rich_console(sys.stderr)
    if stdout().isatty() and sys.stderr.isatty() and console.is_interactive:
        return Bar(config, steps, console)
    return None


def threshold_metrics(metrics: Mapping[str, float], config: TrainConfig) -> str:
    """Those of ``metrics`` that have a threshold, each with its bound."""
    return "  ".join(
        f"{t.metric} {metrics[t.metric]:.4f} ({str(t).removeprefix(t.metric).strip()})"
        for t in config.thresholds
    )


def epoch_line(report: EpochReport, config: TrainConfig) -> str:
    """One epoch in one line: loss, metrics with thresholds, and seconds."""
    return (
        f"epoch {report.epoch}/{config.epochs}  total {report.train['total']:.4f}  "
        f"{threshold_metrics(report.val, config)}  {report.seconds:.1f} s"
        f"{'  best' if report.best else ''}"
    )


def summary(
    best: EpochReport,
    test: FinalFigures | None,
    config: TrainConfig,
    run_dir: Path,
    checkpoint: Path,
) -> str:
    """The best epoch, its metrics on validation and test, and the paths of the run's files."""
    run = RunFolder(run_dir)
    lines = [_side(f"best epoch {best.epoch} of {config.epochs}", best.val, config)]
    if test is not None:
        count = len(test.by_livery)
        liveries = f"{count} {'livery' if count == 1 else 'liveries'}"
        lines.append(_side(f"test side ({liveries}, unseen till now)", test.metrics, config))
    lines += [
        f"checkpoint  {checkpoint}",
        f"epochs      {run.epochs}",
        f"settings    {run.settings}",
    ]
    if test is not None:
        lines.append(f"test side   {run.test}")
    return "\n".join(lines)


def _side(name: str, metrics: Mapping[str, float], config: TrainConfig) -> str:
    """The metrics of one side that have a threshold, and whether they pass, in two lines."""
    if "margin" not in metrics:
        return f"{name}: a metric that has a threshold is not defined there"
    passes = "passes" if metrics["margin"] >= 0 else "does not pass"
    return (
        f"{name}, margin {metrics['margin']:+.3f}: {passes} its thresholds\n"
        f"  {threshold_metrics(metrics, config)}"
    )
