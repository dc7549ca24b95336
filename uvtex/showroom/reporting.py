"""How a build reports what it does: lines of text, and the progress of its stages."""

from __future__ import annotations

from uvtex.progress import Progress, Say

LIVERIES, CAMERAS = "liveries", "cameras"
"""Names of the two stages."""


def progress_in_lines(tell: Say) -> Progress:
    """A ``Progress`` that writes the progress as lines to ``tell``: one a camera."""

    def advance(stage: str, done: int, total: int, left: str = "") -> None:
        if stage == LIVERIES and done == 0:
            tell(f"{total} {stage}")
        elif stage == CAMERAS and done < total:
            tell(f"camera {done + 1} of {total}{left and f', {left}'}")

    return advance
