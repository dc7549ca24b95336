"""What a set rendered from somebody's mesh knows of that mesh's atlas, from its ``car.json``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from uvtex.errors import DataError

CAR = "car.json"
Percent = Annotated[float, Field(ge=0, le=100)]


class CarFacts(BaseModel):
    """Of the mesh's UVs; percentages of the unit square or of the texels in use."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    covered_percent_of_atlas: Percent
    """Texels in use: some part of the paint lies there."""
    shared_percent_of_covered: Percent
    """Texels that show two places of the car, as mirrored parts do."""
    unseen_percent_of_covered: Percent | None = None
    """Texels in use that no camera of the set sees."""
    shared_texels: str | None = None
    """A picture of them beside ``car.json``: the share of each texel, times 255."""


class _File(BaseModel):
    model_config = ConfigDict(extra="ignore")

    uv: CarFacts


def read_car(folder: Path) -> CarFacts | None:
    """The facts of the set in ``folder``, or None where its car is not somebody's own.

    Raises:
        DataError: the file is there and says nothing of UVs.
    """
    path = folder / CAR
    if not path.is_file():
        return None
    try:
        return _File.model_validate_json(path.read_bytes()).uv
    except (OSError, ValidationError) as error:
        first = error.errors()[0]["msg"] if isinstance(error, ValidationError) else error.strerror
        raise DataError(f"cannot be read: {first}; building the set again writes it anew") from None
