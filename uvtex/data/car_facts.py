"""Facts of the UV atlas of a user's mesh.

A set rendered from that mesh holds them in its ``car.json``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from uvtex.errors import DataError

CAR = "car.json"
Percent = Annotated[float, Field(ge=0, le=100)]


class CarFacts(BaseModel):
    """Facts of the mesh's UVs, as percentages of the unit square or of the texels in use."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    covered_percent_of_atlas: Percent
    """Texels in use: texels that hold some part of the paint. In percent of the unit square."""
    shared_percent_of_covered: Percent
    """Texels that two places of the car share, as mirrored parts do. In percent of those in use."""
    unseen_percent_of_covered: Percent | None = None
    """Texels in use that no camera of the set sees. In percent of those in use."""
    shared_texels: str | None = None
    """Name of a picture beside ``car.json``. A pixel is the shared part of a texel, times 255."""


class _File(BaseModel):
    model_config = ConfigDict(extra="ignore")

    uv: CarFacts


def read_car(folder: Path) -> CarFacts | None:
    """The facts of the set in ``folder``, or None if the folder has no ``car.json``.

    Raises:
        DataError: the file exists and cannot be read, or holds no valid UV facts.
    """
    path = folder / CAR
    if not path.is_file():
        return None
    try:
        return _File.model_validate_json(path.read_bytes()).uv
    except (OSError, ValidationError) as error:
        first = error.errors()[0]["msg"] if isinstance(error, ValidationError) else error.strerror
        raise DataError(f"cannot be read: {first}; building the set again writes it anew") from None
