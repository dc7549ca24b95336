"""What a report tells: the runs of a study with their curves, read from its directories."""

from __future__ import annotations

import base64
import math
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from sweep.study.config import StudyConfig
from sweep.study.folder import TrialRecord, records
from uvtex.runs.epochs import EpochReport, best_epoch, read_epochs
from uvtex.thresholds import Threshold


@dataclass(frozen=True)
class StudyRun:
    """One trial and stage: its record, its epochs, and the best of them."""

    record: TrialRecord
    folder: Path
    epochs: list[EpochReport]
    best: EpochReport | None

    @property
    def name(self) -> str:
        """``7 uv-heavy``, with ``full`` where it is one."""
        stage = " full" if self.record.stage == "full" else ""
        return f"{self.record.trial} {self.record.schedule}{stage}"

    @property
    def margin(self) -> float:
        """Of the best epoch; -inf before the first."""
        return -math.inf if self.best is None else self.best.val["margin"]

    @property
    def passed(self) -> bool:
        """A full run at or beyond every threshold."""
        return self.record.stage == "full" and self.record.state == "complete" and self.margin >= 0

    def curve(self, metric: str) -> tuple[list[int], list[float]]:
        """Epochs, and the metric's value at each; empty where it was not measured."""
        points = [(made.epoch, made.val[metric]) for made in self.epochs if metric in made.val]
        return [epoch for epoch, _ in points], [value for _, value in points]

    def at_best(self, metric: str) -> float | None:
        """The metric at the best epoch."""
        return None if self.best is None else self.best.val.get(metric)


@dataclass(frozen=True)
class StudyData:
    """A study's settings and runs, by trial, probe before full."""

    study: StudyConfig
    runs: list[StudyRun]

    @property
    def thresholds(self) -> tuple[Threshold, ...]:
        return self.study.thresholds

    @property
    def winner(self) -> StudyRun | None:
        """The full run that passed by most, or None."""
        passed = [run for run in self.runs if run.passed]
        return max(passed, key=lambda run: run.margin, default=None)

    @property
    def baseline(self) -> StudyRun | None:
        """The schedule this project started from, its full run if there is one."""
        runs = [run for run in self.runs if run.record.schedule == "baseline" and run.best]
        return max(runs, key=lambda run: run.record.stage == "full", default=None)

    @property
    def other(self) -> str:
        """The metric that SSIM(UV) is drawn against: the second threshold's, if there is one."""
        names = [t.metric for t in self.thresholds if t.metric != "ssim_uv"]
        return names[0] if names else "haarpsi_view"

    def threshold(self, metric: str) -> Threshold | None:
        """The threshold on ``metric``, if there is one."""
        return next((t for t in self.thresholds if t.metric == metric), None)


def read_study_data(study: StudyConfig) -> StudyData:
    """The story of a study, from its trial directories.

    Raises:
        UvtexError: a trial directory is damaged.
    """
    runs = []
    for record in records(study.paths.folder):
        folder = study.paths.run_dir(record.trial, record.stage)
        epochs = read_epochs(folder)
        runs.append(StudyRun(record, folder, epochs, best_epoch(epochs)))
    return StudyData(study, runs)


EACH = 3
"""Grids at either end."""


@dataclass(frozen=True)
class Grid:
    """A sample grid, and the SSIM(UV) of its sample where its PNG says so."""

    path: Path
    ssim: float | None

    @property
    def uri(self) -> str:
        """The picture itself, as an address."""
        return "data:image/png;base64," + base64.b64encode(self.path.read_bytes()).decode()


def shown(story: StudyData) -> StudyRun | None:
    """The run whose grids are shown: the winner, or the nearest to it that has some."""
    with_grids = [run for run in story.runs if _files(run)]
    return max(with_grids, key=lambda run: (run.passed, run.margin), default=None)


def best_and_worst(run: StudyRun) -> tuple[list[Grid], list[Grid]]:
    """Up to :data:`EACH` grids at either end, none of them twice."""
    grids = [Grid(path, _ssim(path)) for path in _files(run)]
    grids.sort(key=lambda grid: -1.0 if grid.ssim is None else grid.ssim, reverse=True)
    half = min(EACH, (len(grids) + 1) // 2)
    return grids[:half], list(reversed(grids[half:][-EACH:]))


def _files(run: StudyRun) -> list[Path]:
    return sorted(run.folder.glob("grids/*.png"))


def _ssim(path: Path) -> float | None:
    with Image.open(path) as picture:
        picture.load()  # a PNG's text may stand behind its pixels
        text = getattr(picture, "text", {}).get("ssim_uv")
    try:
        return None if text is None else float(text)
    except ValueError:
        return None
