"""What a run's record says of its files that were removed on purpose."""

from __future__ import annotations

from pydantic import Field

from uvtex.settings import Settings


class Cleaned(Settings):
    """The files of a run that were removed after its verdict. Nothing else of the run is missing.

    The record is written before the files are removed. So a file that is named here may be there.
    """

    files: tuple[str, ...]
    """Paths inside the run's folder, with ``/`` between their parts."""
    bytes: int
    """Their size in the run's folder. MLflow's copies are not counted."""
    at: float
    """Unix seconds."""
    metric_versions: dict[str, str] = Field(default_factory=dict)
    """The definitions of the run's metrics, which its best checkpoint held."""
    data_fingerprint: str = ""
    """Digest of the validation side, which its best checkpoint held."""
