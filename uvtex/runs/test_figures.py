"""The figures of a finished run on the test side: the file ``test.json`` in its folder."""

from __future__ import annotations

import json
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from uvtex.errors import ConfigError, DataError
from uvtex.runs.folder import RunFolder
from uvtex.settings import validate
from uvtex.typed.text_files import read_text

FORMAT = 1


class FinalFigures(BaseModel):
    """The content of ``test.json``: a run's best checkpoint on the test side."""

    model_config = ConfigDict(frozen=True)

    version: int = FORMAT
    checkpoint: str
    """The file's path inside the run's folder."""
    sha256: str
    """Digest of that file."""
    epoch: int
    """The best epoch."""
    test_fingerprint: str
    """Digest of the test side. Runs of equal digests were measured on the same views."""
    metric_versions: dict[str, str]
    """The definitions by which the metrics were measured."""
    samples: int
    metrics: dict[str, float]
    """Metric or loss term -> mean over the samples; ``margin`` over the run's thresholds."""
    by_livery: dict[str, dict[str, float]]
    """Livery -> metric -> mean over the livery's samples."""


def read_test_figures(run_dir: Path) -> FinalFigures | None:
    """The run's figures on the test side; None if they were not measured.

    Raises:
        DataError: the file is not valid, or a newer version wrote it.
    """
    path = RunFolder(run_dir).test
    if not path.is_file():
        return None
    try:
        values = json.loads(read_text(path, DataError))
        figures = validate(FinalFigures, values, str(path))
    except (json.JSONDecodeError, ConfigError) as error:
        raise DataError(f"{path}: holds no test figures: {error}; remove the file") from None
    if figures.version > FORMAT:
        raise DataError(f"{path}: written by a newer uvtex; upgrade uvtex")
    return figures
