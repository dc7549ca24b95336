"""``maps.json``: from which liveries the UV maps of a set were found (``uvtex data maps``)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from uvtex.data.splits import Sides
from uvtex.errors import DataError
from uvtex.typed.text_files import read_json

MAPS = "maps.json"
STIFFNESS = 1.0
"""The stiffness of maps where none is given."""


class FoundCamera(BaseModel):
    """A camera, as ``maps.json`` has it."""

    model_config = ConfigDict(extra="ignore")

    camera: str
    liveries: int
    painted: float
    known: float
    sure: float
    more: int
    known_by: dict[str, float] = {}
    """Stiffness -> share of the painted pixels that is known with it."""
    uv_map: str | None = None
    notes: list[str] = []


class FoundMaps(BaseModel):
    """The content of ``maps.json``."""

    model_config = ConfigDict(extra="ignore")

    used: list[str]
    """The liveries from which the maps were found."""
    split: dict[str, Any]
    """The split's settings; empty where all liveries were used by request."""
    cameras: list[FoundCamera]
    stiffness: list[Annotated[float, Field(gt=0)]] = Field(default=[STIFFNESS], min_length=1)
    """Each camera has a map for each. The first is used where no other is asked for."""
    left_out: int = 0
    notes: list[str] = []


def read_found_maps(folder: Path) -> FoundMaps | None:
    """The facts of a set's found maps. None where the set's maps were not found from pictures.

    Raises:
        DataError: the file is no JSON, or lacks a field.
    """
    path = folder / MAPS
    if not path.is_file():
        return None
    try:
        return FoundMaps.model_validate(read_json(path, DataError))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise DataError(f"{path}: {where}: {first['msg']}") from None


def shares_by_stiffness(cameras: Sequence[Mapping[str, float]]) -> str:
    """The mean of the ``known_by`` of cameras for each stiffness: ``1: 93%, 0.5: 92%``."""
    with_maps = [shares for shares in cameras if shares]
    names = list(with_maps[0]) if with_maps else []
    means = (sum(shares[name] for shares in with_maps) / len(with_maps) for name in names)
    return ", ".join(f"{name}: {mean:.0%}" for name, mean in zip(names, means, strict=True))


def other_stiffness(folder: Path, stiffness: float) -> float | None:
    """``stiffness``, if the set has maps of it that are not its first; None for the first.

    Six digits are compared: the maps are named by so many.

    Raises:
        DataError: the set has no map of this stiffness.
    """
    found = read_found_maps(folder)
    if found is None:
        raise DataError(
            f"{folder}: map_stiffness {stiffness:g}: its UV maps were not found by `uvtex data "
            "maps`, so there is none to choose; leave map_stiffness out"
        )
    same = [value for value in found.stiffness if f"{value:g}" == f"{stiffness:g}"]
    if not same:
        there = ", ".join(f"{value:g}" for value in found.stiffness)
        raise DataError(
            f"{folder}: has no UV maps of stiffness {stiffness:g}, but of {there}; give "
            "map_stiffness one of these, or find the maps anew with `uvtex data maps --stiffness`"
        )
    return None if same[0] == found.stiffness[0] else same[0]


def check_held_out(folder: Path, liveries: Sequence[str], sides: Sides) -> None:
    """Checks that no livery of validation or test had a part in finding the maps.

    A set whose maps were found from all liveries by request is not refused.

    Raises:
        DataError: such liveries had. The message has the split under which the maps were found.
    """
    found = read_found_maps(folder)
    if found is None or not found.split:
        return
    used = set(found.used)
    held_out = {liveries[number] for number in [*sides.val, *sides.test]}
    if used & held_out:
        split = ", ".join(f"{name} {value:g}" for name, value in found.split.items())
        raise DataError(
            f"{folder}: its UV maps were found from {len(used & held_out)} liveries that would now "
            f"validate or test; train with the split of the maps ({split}), or find the maps anew"
        )
