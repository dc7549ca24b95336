"""Extra files in a set of your own car: shared texels, ``car.json``, and the unwrapped mesh."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uvtex.files import png, write_atomic
from uvtex.showroom.cars.own_car import OwnCar
from uvtex.showroom.cars.unwrap import obj
from uvtex.showroom.cars.uv_audit import UvAudit

REPORT = "car.json"
SHARED = "shared_texels.png"
UNWRAPPED = "car_unwrapped.obj"


def write_marks(out: Path, car: OwnCar, texture_size: int, unwrapped: bool) -> None:
    """Writes the picture of shared texels and, if ``unwrapped``, the mesh; keeps existing files."""
    if not (out / SHARED).exists():
        write_atomic(out / SHARED, png(car.uvs.picture(texture_size)))
    if unwrapped and not (out / UNWRAPPED).exists():
        write_atomic(out / UNWRAPPED, obj(car.parts).encode())


def write_report(out: Path, car: OwnCar, maps: Sequence[NDArray[np.float32]], side: int) -> str:
    """Writes ``car.json``; returns its summary as a line of text.

    Args:
        maps: the UV map [h, w, 2] of every camera, NaN where no paint is visible.
        side: side of the grid of texels on which visibility is counted. Views of low resolution
            see fewer texels of a fine grid.
    """
    unseen, blind = unseen_percent(car.uvs, maps, side), sum(bool(np.isnan(m).all()) for m in maps)
    report: dict[str, Any] = dict(car.facts)
    report["uv"] = {
        **report["uv"],
        "unseen_percent_of_covered": round(unseen, 3),
        "unseen_grid": side,
        "cameras_that_see_no_paint": blind,
    }
    write_atomic(out / REPORT, (json.dumps(report, indent=1) + "\n").encode())
    line = (
        f"{car.uvs.covered_percent:.1f} % of the atlas is in use; no camera sees {unseen:.1f} % "
        f"of that (at {side} x {side})"
    )
    return line + (f"; {blind} cameras see no paint at all" if blind else "")


def unseen_percent(uvs: UvAudit, maps: Sequence[NDArray[np.float32]], side: int) -> float:
    """Percentage of the texels in use, on a grid of ``side``, that no UV map contains."""
    seen = np.zeros((side, side), dtype=bool)
    for uv in maps:
        row, column = texels_of(uv[~np.isnan(uv[..., 0])], side)
        seen[row, column] = True
    row, column = np.nonzero(uvs.covered)
    used = np.zeros((side, side), dtype=bool)
    used[row * side // uvs.grid, column * side // uvs.grid] = True
    return float(100 * (used & ~seen).sum() / max(int(used.sum()), 1))


def texels_of(uv: NDArray[np.float32], side: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Row and column, [n] each, of the texels that contain ``uv`` [n, 2]; row 0 is v = 1."""
    row = ((1 - uv[:, 1]) * side).astype(np.int64).clip(0, side - 1)
    return row, (uv[:, 0] * side).astype(np.int64).clip(0, side - 1)
