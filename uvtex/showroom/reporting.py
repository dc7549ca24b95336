"""How a build reports what it does: lines of text, and the progress of its stages."""

from __future__ import annotations

from collections.abc import Callable

from uvtex.progress import Stage

Progress = Callable[[str], None]
"""Called with one line of text."""

LIVERIES, CAMERAS = "liveries", "cameras"
"""Names of the two stages."""


def stage_in_lines(tell: Progress) -> Stage:
    """A ``Stage`` that writes the progress as lines to ``tell``: one a camera."""

    def advance(name: str, done: int, total: int, time_left: str) -> None:
        if name == LIVERIES and done == 0:
            tell(f"{total} {name}")
        elif name == CAMERAS and done < total:
            tell(f"camera {done + 1} of {total}{time_left}")

    return advance
