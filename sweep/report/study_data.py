"""The data of a study's report: its runs and their epochs, read from its trial directories."""

from __future__ import annotations

import base64
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from sweep.study.config import OBJECTIVE, StudyConfig
from sweep.study.folder import TrialRecord
from sweep.study.judged import has_passed, judged
from sweep.study.lease import shown_records
from sweep.study.search.paths import SCHEDULE, in_order
from uvtex.runs.epochs import EpochReport, best_epoch, read_epochs
from uvtex.thresholds import Threshold

T = TypeVar("T")


@dataclass(frozen=True)
class StudyRun:
    """One run of one trial: its record, its epochs, and the best of these epochs."""

    record: TrialRecord
    folder: Path
    epochs: list[EpochReport]
    best: EpochReport | None
    passed: bool
    """Whether this is a full run that passed, see :func:`sweep.study.judged.has_passed`."""

    @property
    def name(self) -> str:
        """Trial number and schedule, ``7 uv-heavy``; a full run's name ends in ``full``."""
        stage = f" {self.record.name}" if self.record.stage == "full" else ""
        return f"{self.record.trial} {self.record.schedule}{stage}"

    @property
    def metrics(self) -> list[tuple[int, dict[str, float]]]:
        """Number and validation metrics of each epoch."""
        return [(epoch.epoch, epoch.val) for epoch in self.epochs]

    @property
    def margin(self) -> float:
        """The margin of the best epoch; -inf before the first epoch has ended."""
        return -math.inf if self.best is None else self.best.val["margin"]

    def curve(self, metric: str) -> tuple[list[int], list[float]]:
        """Epoch numbers and the metric's values. An epoch without the metric is left out."""
        measured = [epoch for epoch in self.epochs if metric in epoch.val]
        return [epoch.epoch for epoch in measured], [epoch.val[metric] for epoch in measured]

    def at_best(self, metric: str) -> float | None:
        """The metric at the best epoch; None if there is no such epoch or no such metric."""
        return None if self.best is None else self.best.val.get(metric)


@dataclass(frozen=True)
class StudyData:
    """A study's settings and its runs, in the order of trials, a probe before its full run."""

    study: StudyConfig
    runs: list[StudyRun]

    @property
    def thresholds(self) -> tuple[Threshold, ...]:
        return self.study.thresholds

    @property
    def searched(self) -> list[str]:
        """The settings that the study searches beside the schedule, by their path."""
        space = in_order(set(self.study.search.space))
        return [path for path in space if not path.startswith(SCHEDULE)]

    @property
    def winner(self) -> StudyRun | None:
        """The passed full run with the largest margin; None if no full run passed."""
        passed = [run for run in self.runs if run.passed]
        return max(passed, key=lambda run: run.margin, default=None)

    @property
    def baseline(self) -> StudyRun | None:
        """The run of the baseline schedule: its full run if there is one, else its probe."""
        runs = [run for run in self.runs if run.record.schedule == "baseline" and run.best]
        return max(runs, key=lambda run: run.record.stage == "full", default=None)

    @property
    def other(self) -> str:
        """The metric against which the objective is drawn.

        It is that of the first threshold on another metric, else HaarPSI(View).
        """
        names = [t.metric for t in self.thresholds if t.metric != OBJECTIVE]
        return names[0] if names else "haarpsi_view"

    def threshold(self, metric: str) -> Threshold | None:
        """The threshold on ``metric``; None if there is none."""
        return next((t for t in self.thresholds if t.metric == metric), None)


def thinned(data: StudyData, most: int) -> StudyData:
    """The study with at most ``most`` of its probes, for what would be too large with all of them.

    Kept are all full runs, the baseline, each probe whose objective was the best so far, then the
    best margins, and an even share of the others. The order stays.
    """
    if len(data.runs) <= most:
        return data
    kept, best = {id(data.baseline)}, -math.inf
    for run in data.runs:
        value = run.at_best(OBJECTIVE)
        if run.record.stage == "full" or (value is not None and value > best):
            kept.add(id(run))
        if value is not None and run.record.stage == "probe":
            best = max(best, value)
    ranked = sorted(data.runs, key=lambda run: run.margin, reverse=True)
    kept.update(id(run) for run in ranked[: most // 2])
    rest = [run for run in data.runs if id(run) not in kept]
    kept.update(id(run) for run in even_share(rest, most - len(kept)))
    return StudyData(data.study, [run for run in data.runs if id(run) in kept])


def even_share(items: Sequence[T], most: int) -> list[T]:
    """At most ``most`` items at equal distances."""
    if len(items) <= most:
        return list(items)
    return [items[index * len(items) // most] for index in range(max(0, most))]


def read_study_data(study: StudyConfig) -> StudyData:
    """Reads the trial directories of a study.

    Raises:
        UvtexError: a trial directory is damaged.
    """
    runs = []
    for record in shown_records(study.paths):
        folder = study.paths.run_dir(*record.key)
        epochs = read_epochs(folder)
        best = best_epoch(epochs)
        figures = judged(folder) if record.stage == "full" else None
        passed = has_passed(study, record, figures)
        runs.append(StudyRun(record, folder, epochs, best, passed))
    return StudyData(study, runs)


SAMPLES = 3
"""At most this many of the best samples are shown, and as many of the worst."""


@dataclass(frozen=True)
class Grid:
    """A sample grid: one validation sample as a row of pictures."""

    path: Path
    ssim: float | None
    """SSIM(UV) of the sample; None if the PNG does not hold it."""

    @property
    def uri(self) -> str:
        """The picture as a data URI."""
        return "data:image/png;base64," + base64.b64encode(self.path.read_bytes()).decode()


def run_with_samples(data: StudyData) -> StudyRun | None:
    """The run whose samples are shown; None if no run has any.

    A run that passed comes first, then the run with the larger margin.
    """
    with_grids = [run for run in data.runs if _files(run)]
    return max(with_grids, key=lambda run: (run.passed, run.margin), default=None)


def best_and_worst(run: StudyRun) -> tuple[list[Grid], list[Grid]]:
    """The grids of the highest and of the lowest SSIM(UV), the most extreme first.

    Each list has at most :data:`SAMPLES` grids. No grid is in both.
    """
    grids = [Grid(path, _ssim(path)) for path in _files(run)]
    grids.sort(key=lambda grid: -1.0 if grid.ssim is None else grid.ssim, reverse=True)
    half = min(SAMPLES, (len(grids) + 1) // 2)
    return grids[:half], list(reversed(grids[half:][-SAMPLES:]))


def setting_text(value: int | float | str | None, digits: int = 6) -> str:
    """The value of a setting, for people; a dash where a run has none."""
    if value is None:
        return "-"
    return f"{value:.{digits}g}" if isinstance(value, float) else str(value)


def _files(run: StudyRun) -> list[Path]:
    return sorted(run.folder.glob("grids/*.png"))


def _ssim(path: Path) -> float | None:
    from PIL import Image  # `sweep status` does without

    with Image.open(path) as picture:
        picture.load()  # a PNG may hold its text after its pixels
        text = getattr(picture, "text", {}).get("ssim_uv")
    try:
        return None if text is None else float(text)
    except ValueError:
        return None
