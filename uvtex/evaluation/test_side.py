"""Measures a finished run on the test side, once.

Validation chose the best epoch, so its figures flatter. The test side chose nothing. It is measured
here, after the last epoch, on the best checkpoint alone.
"""

from __future__ import annotations

import json
from pathlib import Path

from uvtex.data.store import PairStore
from uvtex.errors import DataError, UvtexError
from uvtex.evaluation.measure import measure_split
from uvtex.files import sha256_of, write_atomic
from uvtex.runs.epochs import read_epochs
from uvtex.runs.folder import RunFolder
from uvtex.runs.header import read_header
from uvtex.runs.test_figures import FinalFigures, read_test_figures


def write_test_figures(run_dir: Path, data: PairStore) -> FinalFigures | None:
    """Measures a finished run's best checkpoint on the test side, and writes ``test.json``.

    Figures that are there already and belong to the same checkpoint and views are kept, so a second
    call measures nothing.

    Args:
        data: the run's data set, opened with the run's settings.

    Returns:
        The figures; None if the run has no test side.

    Raises:
        UvtexError: the run has not made its last epoch, or the file cannot be written.
        CheckpointError: the best checkpoint cannot be used.
        DataError: the data set has changed since the run was trained.
    """
    run = RunFolder(run_dir)
    config = run.read_settings()
    if config is None or len(read_epochs(run_dir)) < config.epochs:
        raise UvtexError(f"{run_dir}: the test side is measured after the last epoch")
    best = run.best(config.checkpoint_name)
    header, digest = read_header(best), data.test_fingerprint()
    if header.test_fingerprint != digest:
        raise DataError(
            f"{run_dir}: the test side of the data set is not the one that was kept from this run; "
            "restore the data set, or train anew"
        )
    if digest is None:
        return None
    sha256 = sha256_of(best)
    known = read_test_figures(run_dir)
    if known is not None and (known.sha256, known.test_fingerprint) == (sha256, digest):
        return known
    found = measure_split(best, data, "test")
    figures = FinalFigures(
        checkpoint=best.relative_to(run_dir).as_posix(),
        sha256=sha256,
        epoch=header.epoch,
        test_fingerprint=digest,
        metric_versions=found.metric_versions,
        samples=found.samples,
        metrics=found.metrics,
        by_livery=found.by_livery,
    )
    write_atomic(run.test, (json.dumps(figures.model_dump(), indent=1) + "\n").encode())
    return figures
