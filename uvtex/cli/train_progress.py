"""What ``uvtex train`` shows while it runs, and where that leaves the user when it ends."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console, RenderableType
from rich.progress import BarColumn, Progress, TextColumn
from rich.text import Text

from uvtex.runs.folder import RunFolder

if TYPE_CHECKING:
    from uvtex.config import TrainConfig
    from uvtex.runs.epochs import EpochReport

RECENT = 5
"""Epochs whose time foretells the next ones'."""
UNKNOWN = "-:--:--"


class Bar(Progress):
    """Two lines on a terminal: the epoch's steps with the time left, and the last figures."""

    def __init__(
        self,
        config: TrainConfig,
        steps: int,
        console: Console,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._figures = "figures come with the first epoch's end"  # drawn from __init__ on
        super().__init__(
            TextColumn("{task.description}"),
            BarColumn(bar_width=None),
            TextColumn("{task.fields[doing]}, {task.fields[left]} left"),
            console=console,
            transient=True,
            expand=True,
        )
        self._config, self._steps, self._clock = config, steps, clock
        self._epoch, self._began = 1, clock()
        self._took: list[float] = []
        self._task = self.add_task(self._description, total=steps, doing="starting", left=UNKNOWN)

    def begin(self, reports: Sequence[EpochReport]) -> None:
        """``reports`` are those of epochs finished in an earlier run."""
        self._epoch, self._began = len(reports) + 1, self._clock()
        if reports:
            self._say(reports[-1])
        self.update(self._task, description=self._description)

    def step(self, step: int) -> None:
        """``step`` of the epoch was handed to the device."""
        doing = f"step {step}/{self._steps}" if step < self._steps else "validating"
        self.update(self._task, completed=step, doing=doing, left=self._left(step))

    def epoch(self, report: EpochReport) -> None:
        """An epoch is over, its validation included: its line goes above the bar."""
        # Not to stdout: what goes by any other way than this console lands inside the bar.
        self.console.print(line(report, self._config), markup=False, highlight=False)
        now = self._clock()
        self._took.append(now - self._began)
        self._epoch, self._began = report.epoch + 1, now
        self._say(report)
        if self._epoch <= self._config.epochs:
            self.update(self._task, description=self._description, left=self._left(0))
            self.update(self._task, completed=0, doing=f"step 0/{self._steps}")

    def get_renderables(self) -> Iterable[RenderableType]:
        yield from super().get_renderables()
        yield Text(self._figures, style="dim", no_wrap=True, overflow="ellipsis")

    @property
    def _description(self) -> str:
        return f"epoch {self._epoch}/{self._config.epochs}"

    def _say(self, report: EpochReport) -> None:
        figures = thresholded(report, self._config)
        best = ", the best so far" if report.best else ""
        self._figures = f"epoch {report.epoch}: {figures}  margin {report.val['margin']:+.3f}{best}"

    def _left(self, step: int) -> str:
        elapsed = self._clock() - self._began
        to_come = self._config.epochs - self._epoch
        if self._took:
            recent = self._took[-RECENT:]
            an_epoch = sum(recent) / len(recent)
        elif step:
            an_epoch = elapsed / step * self._steps  # validation not known of yet
        else:
            return UNKNOWN
        seconds = max(an_epoch - elapsed, 0.0) + to_come * an_epoch
        return str(timedelta(seconds=round(seconds)))


def shown(
    config: TrainConfig, steps: int, plain: bool
) -> tuple[Bar | None, AbstractContextManager[object]]:
    """A bar if people are looking and ``plain`` is false, and the context to train in."""
    console = Console(stderr=True)
    if plain or not (sys.stdout.isatty() and sys.stderr.isatty() and console.is_interactive):
        return None, nullcontext()
    bar = Bar(config, steps, console)
    return bar, bar


def thresholded(report: EpochReport, config: TrainConfig) -> str:
    """The figures that thresholds are on, each with its bound."""
    return "  ".join(
        f"{t.metric} {report.val[t.metric]:.4f} ({str(t).removeprefix(t.metric).strip()})"
        for t in config.thresholds
    )


def line(report: EpochReport, config: TrainConfig) -> str:
    """An epoch in one line."""
    return (
        f"epoch {report.epoch}/{config.epochs}  total {report.train['total']:.4f}  "
        f"{thresholded(report, config)}  {report.seconds:.1f} s{'  best' if report.best else ''}"
    )


def summary(best: EpochReport, config: TrainConfig, run_dir: Path, checkpoint: Path) -> str:
    """The best epoch, its figures, and where things are."""
    margin = best.val["margin"]
    verdict = "passes its thresholds" if margin >= 0 else "does not pass its thresholds"
    return "\n".join(
        (
            f"best epoch {best.epoch} of {config.epochs}, margin {margin:+.3f}: {verdict}",
            f"  {thresholded(best, config)}",
            f"checkpoint  {checkpoint}",
            f"epochs      {RunFolder(run_dir).epochs}",
            f"settings    {RunFolder(run_dir).settings}",
        )
    )
