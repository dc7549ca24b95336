"""How patient a driver is with its workers, and when it gives up."""

from __future__ import annotations

from pathlib import Path

from sweep.study.folder import WORKER_LOG
from uvtex.errors import UvtexError

MAX_RETRIES = 1
"""How many times a run is resumed after its worker died."""

MAX_EARLY_FAILURES = 3
"""The driver stops after this many failures in a row without a single epoch."""

POLL_SECONDS = 0.5
"""Longest wait for an event, so that Ctrl-C is noticed."""


def given_up(label: str, reason: str, run_dir: Path) -> UvtexError:
    """The error after MAX_EARLY_FAILURES; the arguments are those of the last run that failed."""
    return UvtexError(
        f"{MAX_EARLY_FAILURES} runs in a row failed before their first epoch; the last, "
        f"{label}: {reason}; see {run_dir / WORKER_LOG}"
    )
