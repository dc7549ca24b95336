"""The log of a worker: it is kept within bounds, and its end explains a death.

A worker's standard output is the log itself, so that C libraries and a crash reach it too. The
driver cuts out the middle of a log that has grown too long.
"""

from __future__ import annotations

import os
from pathlib import Path

LONGEST = 4 << 20
"""Bytes of a log. A longer one is cut to its head and its tail."""
HEAD = 1 << 18
TAIL = 1 << 20

LAST_LINES = 20
"""Lines at the end of a log that are kept with a run whose worker died."""
_LAST_BYTES = 4096
_LONGEST_LINE = 200


def keep_bounded(log: Path) -> None:
    """Cuts a log of more than LONGEST bytes to its head and its tail.

    A line that is written in the same moment may be lost. Its writer appends, so it goes on behind
    the tail. A log that cannot be cut is left as it is.
    """
    try:
        size = log.stat().st_size
        if size <= LONGEST:
            return
        with log.open("r+b") as file:
            file.seek(size - TAIL)
            tail = file.read().partition(b"\n")[2]
            left_out = size - HEAD - len(tail)
            file.truncate(HEAD)
            file.seek(0, os.SEEK_END)
            file.write(f"\n[... {left_out} bytes are left out here ...]\n".encode() + tail)
    except OSError:
        return


def last_line(log: Path, since: int) -> str:
    """The last line of ``log`` after its first ``since`` bytes; empty if there is none."""
    return next(reversed(last_lines(log, since)), "")


def last_lines(log: Path, since: int = 0) -> list[str]:
    """The last lines of ``log`` after its first ``since`` bytes, at most LAST_LINES.

    The worker's own notes of epochs are left out, because they explain no death.
    """
    try:
        with log.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            # A log that was cut meanwhile is shorter than what was there before.
            file.seek(max(since if since <= size else 0, size - _LAST_BYTES))
            text = file.read().decode(errors="replace")
    except OSError:
        return []
    lines = ["".join(c for c in line if c.isprintable()).strip() for line in text.splitlines()]
    said = [line for line in lines if line and not line.startswith("epoch ")]
    return [line[:_LONGEST_LINE] for line in said[-LAST_LINES:]]


def last_output(log: Path) -> str | None:
    """The last lines of ``log`` as one text; None if there are none."""
    return "\n".join(last_lines(log)) or None


def size_of(log: Path) -> int:
    """The size of a log in bytes; 0 if there is none."""
    return log.stat().st_size if log.is_file() else 0
