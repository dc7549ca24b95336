"""How a build reports what it does: lines of text, and the progress of its stages."""

from __future__ import annotations

from uvtex.progress import Echo, Progress

LIVERIES, CAMERAS = "liveries", "cameras"
"""Names of the two stages."""


def progress_in_lines(echo: Echo) -> Progress:
    """A ``Progress`` that writes the progress as lines to ``echo``: one a camera."""

    def advance(stage: str, done: int, total: int, left: str = "") -> None:
        if stage == LIVERIES and done == 0:
            echo(f"{total} {stage}")
        elif stage == CAMERAS and done < total:
            echo(f"camera {done + 1} of {total}{left and f', {left}'}")

    return advance
