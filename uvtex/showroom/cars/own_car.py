"""Loads your own car: reads its mesh, places it, chooses the paint and audits the UVs.

The UVs of the file are kept even where they are bad; the remarks then name their faults. Only
``unwrap`` replaces them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from uvtex.errors import DataError
from uvtex.showroom.cars.mesh_files import mesh_file
from uvtex.showroom.cars.mesh_files.mesh_file import Part
from uvtex.showroom.cars.paint_material import choose_paint
from uvtex.showroom.cars.placement import Placement, normalise_pose
from uvtex.showroom.cars.plausible import check_audit, check_paint, check_shape
from uvtex.showroom.cars.subject import PAINT, Colour, Subject
from uvtex.showroom.cars.unwrap import unwrapped
from uvtex.showroom.cars.uv_audit import UvAudit, audit
from uvtex.showroom.settings import CarSettings

GLASS: Colour = (0.012, 0.012, 0.012)
LEAST = 0.05
"""Smallest percentage that is worth a remark: rounding affects one or two texels of any unwrap."""


@dataclass(frozen=True)
class OwnCar:
    """Your own car, ready to be rendered, and what was found out about it."""

    subject: Subject
    parts: list[Part]
    """The car's parts after placement and unwrapping; the paint is the first."""
    placement: Placement
    uvs: UvAudit
    remarks: tuple[str, ...]
    """Lines of text for people."""
    facts: dict[str, Any]
    """The same facts as JSON values; the first part of ``car.json``."""


def load(settings: CarSettings) -> OwnCar:
    """Loads the car of ``settings``.

    Raises:
        DataError: the file is not a mesh, has no faces or a NaN, lacks the material or UVs, or
            cannot be a car.
        UvtexError: xatlas is not installed.
    """
    path = Path(settings.file)
    parts = mesh_file.read(path)
    placement = _placed(path, settings, parts)
    parts = [replace(part, mesh=placement.applied(part.mesh)) for part in parts]
    check_shape(path, parts, placement)
    paint, why = choose_paint(parts, settings.paint_material, str(path))
    parts = [paint, *(part for part in parts if part is not paint)]
    if settings.unwrap:
        parts[0] = replace(parts[0], mesh=unwrapped(parts[0].mesh), has_uv=True)
    elif not paint.has_uv:
        raise DataError(
            f"{path}: the paint's material {paint.material!r} has no UVs, or some "
            "of its faces have none; unwrap it in your 3D editor, or give --unwrap to unwrap it "
            f"here{_others(parts)}"
        )
    mesh_file.check_finite(path, parts[0], "UV")
    check_paint(path, parts[0])
    uvs = audit(parts[0].mesh)
    check_audit(path, parts[0], uvs)
    return OwnCar(
        _subject(parts, uvs),
        parts,
        placement,
        uvs,
        tuple(_remarks(path, settings, parts, why, placement, uvs)),
        _facts(settings, parts, why, placement, uvs),
    )


def _placed(path: Path, settings: CarSettings, parts: list[Part]) -> Placement:
    used = [part.mesh.position[np.unique(part.mesh.faces)] for part in parts]
    try:
        return normalise_pose(np.concatenate(used), settings.up, settings.nose, path.suffix.lower())
    except ValueError as error:
        raise DataError(f"{path}: {error}; give the file's axes with --up and --nose") from None


def _others(parts: list[Part]) -> str:
    names = ", ".join(part.material for part in parts[1:] if part.has_uv)
    return f"; materials with UVs: {names} (--paint-material)" if names else ""


def _subject(parts: list[Part], uvs: UvAudit) -> Subject:
    meshes, colours = {PAINT: parts[0].mesh}, {}
    for number, part in enumerate(parts[1:]):
        # The path tracer refuses names with dots, and names in files may have some.
        name = f"part{number:03d}"
        meshes[name] = part.mesh
        colours[name] = GLASS if part.glass else part.colour
    return Subject(meshes, colours, repeats=uvs.outside_percent > 0)


def _remarks(
    path: Path, settings: CarSettings, parts: list[Part], why: str, place: Placement, uvs: UvAudit
) -> list[str]:
    faces = sum(len(part.mesh.faces) for part in parts)
    length, width, height = place.size
    lines = [
        f"{path.name}: {faces} faces, {len(parts)} materials; the paint is on "
        f"{parts[0].material!r}, {why}",
        f"{path.name}: up is {place.up}, the nose points along {place.nose} (--up and --nose "
        f"change this); {length:.2f} m long, {width:.2f} wide, {height:.2f} high",
    ]
    notes = dict.fromkeys(note for part in parts for note in part.notes)
    lines.extend(f"{path.name}: {note}" for note in notes)
    if place.scaled:
        lines.append(f"{path.name}: {place.scaled}")
    lines.extend(
        f"{path.name}: the colour of material {part.material!r} cannot be read "
        f"({part.colour_fault}); the set shows it in dark grey"
        for part in parts[1:]
        if part.colour_fault
    )
    lines.extend(f"{path.name}: {line}" for line in _uv_remarks(settings, uvs))
    return lines


def _uv_remarks(settings: CarSettings, uvs: UvAudit) -> list[str]:
    lines = []
    if settings.unwrap:
        lines.append(
            "the paint has new UVs; paint your liveries on car_unwrapped.obj, because textures "
            "for the old UVs do not fit"
        )
    if uvs.outside_percent > 0:
        lines.append(
            f"{uvs.outside_percent:.1f} % of the paint's faces have UVs outside the unit square "
            f"(u {uvs.low[0]:.2f} to {uvs.high[0]:.2f}, v {uvs.low[1]:.2f} to {uvs.high[1]:.2f}); "
            "the texture repeats there"
        )
    if uvs.collapsed_percent >= LEAST:
        lines.append(
            f"{uvs.collapsed_percent:.1f} % of the paint's surface has UVs without area: each such "
            "face shows a single texel"
        )
    if uvs.shared_percent >= LEAST:
        lines.append(
            f"{uvs.shared_percent:.1f} % of the texels in use are shared by two places of the car "
            "(mirrored or overlapping UVs); shared_texels.png marks them"
        )
    if not lines:
        lines.append("the UVs are good: in the unit square, and no two places share a texel")
    return lines


def _facts(
    settings: CarSettings, parts: list[Part], why: str, place: Placement, uvs: UvAudit
) -> dict[str, Any]:
    return {
        "file": Path(settings.file).name,
        "sha256": settings.sha256,
        "materials": {part.material: len(part.mesh.faces) for part in parts},
        "paint_material": parts[0].material,
        "paint_chosen": why,
        "up": place.up,
        "nose": place.nose,
        "scale": place.scale,
        "length_width_height_m": [round(value, 4) for value in place.size],
        "uv": {
            "source": "xatlas" if settings.unwrap else "file",
            "grid": uvs.grid,
            "low": [round(value, 5) for value in uvs.low],
            "high": [round(value, 5) for value in uvs.high],
            "outside_percent_of_faces": round(uvs.outside_percent, 3),
            "collapsed_percent_of_surface": round(uvs.collapsed_percent, 3),
            "covered_percent_of_atlas": round(uvs.covered_percent, 3),
            "shared_percent_of_covered": round(uvs.shared_percent, 3),
            "shared_texels": "shared_texels.png",
        },
    }
