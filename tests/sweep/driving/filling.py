"""A runner whose second epoch writes as many bytes as the file ``bytes`` beside the store says."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sweep.launchers.base import Job
from sweep.launchers.worker import Warn
from tests.sweep.fakes import fake
from uvtex.files import write_atomic

RUNNER = "tests.sweep.driving.filling:fill"


def fill(job: Job, warn: Warn) -> Iterator[dict[str, Any]]:
    run_dir = Path(job.run_dir)
    count = int((run_dir.parents[5] / "bytes").read_text())
    for report in fake(job, warn):
        if report["epoch"] == 2:
            write_atomic(run_dir / "checkpoint", b"x" * count)
        yield report
