"""What a forked process is to do, and the server that forks it."""

from __future__ import annotations

import multiprocessing
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.faults.harness.points import Point

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["tests.faults.harness.preload"])
PIDS = "FAULTS_PIDS"
"""The variable with the folder in which workers leave their process ids."""


@dataclass(frozen=True)
class Order:
    """What a command's process is to do. All of it can be pickled."""

    folder: Path
    """Its working folder, which gets ``output.log`` and the workers' process ids."""
    arguments: tuple[str, ...]
    """Those of ``sweep``."""
    runner: str
    exported: Path | None = None
    """A folder with an exported model that takes the place of every export, which takes seconds.
    Nor are charts drawn then."""
    point: Point | None = None
    worker_point: Point | None = None
    fresh: bool = False
    """Whether workers start as a user's do."""
    clock: float = 0.0
    """Seconds that are added to the wall clock."""
    environment: Mapping[str, str] = field(default_factory=dict)


def output_to(path: Path) -> None:
    log = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    for stream in (1, 2):
        os.dup2(log, stream)
    os.close(log)
    sys.stdout = os.fdopen(1, "w", buffering=1, closefd=False)
    sys.stderr = os.fdopen(2, "w", buffering=1, closefd=False)
