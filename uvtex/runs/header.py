"""The header of a checkpoint: settings, metrics and origin, as JSON beside the tensors."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict
from safetensors import SafetensorError, safe_open

from uvtex.config import TrainConfig
from uvtex.errors import CheckpointError, ConfigError, PartialCheckpoint
from uvtex.imaging.framing import Framing
from uvtex.runs.epochs import EpochReport
from uvtex.settings import validate

FORMAT = 1
KEY = "uvtex"
"""The entry of the safetensors metadata that holds the header."""


class OriginalRecord(BaseModel):
    """What an imported checkpoint of the original project recorded of itself."""

    model_config = ConfigDict(frozen=True)

    file: str
    metrics: dict[str, Any]
    """By the original's definitions, on the original's split."""
    weights: dict[str, Any]
    args: dict[str, Any]


class Header(BaseModel):
    """The header of a checkpoint. Its fields are the keys on disk.

    A field that has a default is absent from checkpoints of older versions. A key that this version
    does not know is ignored.
    """

    model_config = ConfigDict(frozen=True)

    version: int = FORMAT
    config: TrainConfig
    epoch: int
    """The number of finished epochs."""
    metrics: dict[str, float]
    """Validation metrics of that epoch."""
    metric_versions: dict[str, str] = {}
    """The definitions by which they were measured."""
    data_fingerprint: str = ""
    """Digest of the validation side."""
    train_fingerprint: str | None = None
    """Digest of the training side. Without it, ``data_fingerprint`` has an older definition."""
    test_fingerprint: str | None = None
    """Digest of the test side; None without one."""
    framing: Framing | None = None
    """The size and place of the car in the training pictures."""
    report: EpochReport | None = None
    """The epoch's report, in the checkpoint from which a run is resumed."""
    original: OriginalRecord | None = None
    """Present where the checkpoint was imported."""

    @property
    def fingerprints(self) -> dict[str, str | None]:
        """The digests of the data set's sides, by field name."""
        return {
            "data_fingerprint": self.data_fingerprint,
            "train_fingerprint": self.train_fingerprint,
            "test_fingerprint": self.test_fingerprint,
        }

    def to_metadata(self) -> dict[str, str]:
        """The metadata of a safetensors file; :func:`parse_header` reads it back."""
        given = {"version", *self.model_fields_set}
        values = {
            name: _plain(getattr(self, name)) for name in Header.model_fields if name in given
        }
        return {"format": "pt", KEY: json.dumps(values)}


def _plain(value: Any) -> Any:
    if isinstance(value, EpochReport):
        return asdict(value)
    return value.model_dump(mode="json") if isinstance(value, BaseModel) else value


def parse_header(path: Path, metadata: dict[str, str] | None) -> Header:
    """The header in the ``metadata`` of the safetensors file ``path``.

    Raises:
        CheckpointError: there is none, a newer version wrote it, or a value in it is not valid.
    """
    try:
        values = json.loads((metadata or {})[KEY])
    except (KeyError, json.JSONDecodeError):
        raise CheckpointError(f"{path}: a safetensors file, but no checkpoint of uvtex") from None
    if isinstance(values, dict) and values.get("version", FORMAT) > FORMAT:
        raise CheckpointError(
            f"{path}: written by a newer uvtex (format {values['version']}, this one reads "
            f"{FORMAT}); upgrade uvtex"
        )
    try:
        return validate(Header, values, where="header")
    except ConfigError as error:
        raise CheckpointError(
            f"{path}: its header cannot be used: {error}; train anew, or use the version of uvtex "
            "that wrote it"
        ) from None


def read_header(path: Path) -> Header:
    """The header of a checkpoint, without reading its tensors.

    Raises:
        CheckpointError: the file is missing, truncated, no checkpoint of uvtex, or newer than this
            version.
    """
    with opened(path, "numpy") as file:
        metadata = file.metadata()
    return parse_header(path, metadata)


@contextmanager
def opened(path: Path, framework: str) -> Iterator[Any]:
    """The safetensors file at ``path``. ``framework`` is ``pt`` or ``numpy``.

    Raises:
        CheckpointError: the file is missing.
        PartialCheckpoint: it is truncated or garbled.
    """
    try:
        with safe_open(path, framework=framework) as file:
            yield file
    except FileNotFoundError:
        raise CheckpointError(f"{path}: no such checkpoint") from None
    except (SafetensorError, OSError) as error:
        raise PartialCheckpoint(
            f"{path}: not a whole safetensors file ({error}); it may be a partial "
            "copy: use another checkpoint"
        ) from None
