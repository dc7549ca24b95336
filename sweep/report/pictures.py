"""The sample grids worth looking at: those that came out best and worst."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from sweep.report.story import Run, Story

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


def shown(story: Story) -> Run | None:
    """The run whose grids are shown: the winner, or the nearest to it that has some."""
    with_grids = [run for run in story.runs if _files(run)]
    return max(with_grids, key=lambda run: (run.passed, run.margin), default=None)


def best_and_worst(run: Run) -> tuple[list[Grid], list[Grid]]:
    """Up to :data:`EACH` grids at either end, none of them twice."""
    grids = [Grid(path, _ssim(path)) for path in _files(run)]
    grids.sort(key=lambda grid: -1.0 if grid.ssim is None else grid.ssim, reverse=True)
    half = min(EACH, (len(grids) + 1) // 2)
    return grids[:half], list(reversed(grids[half:][-EACH:]))


def _files(run: Run) -> list[Path]:
    return sorted(run.folder.glob("grids/*.png"))


def _ssim(path: Path) -> float | None:
    with Image.open(path) as picture:
        picture.load()  # a PNG's text may stand behind its pixels
        text = getattr(picture, "text", {}).get("ssim_uv")
    try:
        return None if text is None else float(text)
    except ValueError:
        return None
