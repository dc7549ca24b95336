"""Decides whether a mesh can be a car with a livery. A mesh that cannot be one is not built.

The bounds are wide: they let pass everything that is raced, from a kart to a lorry, and also a
car without its wheels or its interior.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from uvtex.errors import DataError
from uvtex.showroom.cars.mesh import Floats, Mesh
from uvtex.showroom.cars.mesh_files.mesh_file import Part
from uvtex.showroom.cars.placement import Placement
from uvtex.showroom.cars.uv_audit import TILES, UvAudit

FACES = 8
"""Smallest number of faces with area. A prism, the simplest body with two sides, has 8."""
WIDTH = (0.15, 1.0)
"""Range of width / length. A dragster is 9 m long and 2 m wide (0.22); a kart reaches 0.8."""
HEIGHT = (0.1, 1.0)
"""Range of height / length. Formula cars have 0.17, the lowest road car 0.15, a microcar 0.9."""
THICKNESS = 0.02
"""Smallest spread of the vertices along their narrowest direction, against the widest. A sheet
has none; a low car of uniform density has 0.1."""
PAINT_AREA = 0.1
"""Smallest area of the paint in square metres. A bonnet alone has about 1."""
FARTHEST = 100.0
"""Largest UV. The textures of a car in UDIM tiles reach 10 along u, and less than 100 along v."""
SINGLE_TEXELS = 90.0
"""Largest percentage of the paint's surface whose faces show a single texel each."""
SMALLEST_PERCENT = 0.1
"""Smallest percentage of the texture that the paint uses: 32 x 32 texels of 1024 x 1024."""
REPEATED = 50.0
"""Largest percentage of the paint's surface on which one face repeats the texture more than TILES
times. A livery is painted once."""


def check_shape(path: Path, parts: Sequence[Part], placement: Placement) -> None:
    """Checks the size and the shape of a car.

    Args:
        parts: after placement, so their lengths are metres.

    Raises:
        DataError: the mesh cannot be a car.
    """
    faults = list(_shape_faults(parts, placement))
    if faults:
        length, width, height = placement.size
        scaled = f" ({placement.scaled})" if placement.scaled else ""
        raise DataError(
            f"{path}: this cannot be a car: {'; '.join(faults)}. Placed with {placement.up} up and "
            f"the nose along {placement.nose}, it is {length:.2f} m long, {width:.2f} m wide and "
            f"{height:.2f} m high{scaled}. Give the file's axes with --up and --nose, delete what "
            "is not the car (floor, backdrop, loose vertices), or export the car again"
        )


def _shape_faults(parts: Sequence[Part], placement: Placement) -> Iterator[str]:
    length, width, height = placement.size
    solid = sum(int((_areas(part.mesh) > 0).sum()) for part in parts)
    if solid < FACES:
        yield f"it has {solid} faces with area, and the simplest body has {FACES}"
    used = np.concatenate([part.mesh.position[np.unique(part.mesh.faces)] for part in parts])
    spread = np.linalg.svd(np.cov(used.T), compute_uv=False) ** 0.5
    if spread[2] < THICKNESS * spread[0]:
        yield "its vertices lie in one plane"
    for name, share, (low, high) in (
        ("width", width / length, WIDTH),
        ("height", height / length, HEIGHT),
    ):
        if not low <= share <= high:
            yield (
                f"its {name} is {100 * share:.1f} % of its length, and a car's is "
                f"{100 * low:.0f} to {100 * high:.0f} %"
            )


def check_paint(path: Path, paint: Part) -> None:
    """Checks the paint's area and the extent of its UVs; these can be seen before an audit.

    Args:
        paint: after placement, so its lengths are metres.

    Raises:
        DataError: the paint cannot show a livery. The message gives what was measured.
    """
    area = float(_areas(paint.mesh).sum())
    if area < PAINT_AREA:
        raise DataError(
            f"{path}: the paint's material {paint.material!r} has {area:.3f} square metres, too "
            f"few for a livery (at least {PAINT_AREA}); give the right material with "
            "--paint-material"
        )
    _refuse(path, paint, _extent_fault(paint.mesh))


def check_audit(path: Path, paint: Part, uvs: UvAudit) -> None:
    """Checks what the audit found out about the paint's UVs.

    Raises:
        DataError: the paint cannot show a livery. The message gives what was measured.
    """
    fault = None
    if uvs.collapsed_percent > SINGLE_TEXELS:
        fault = f"{uvs.collapsed_percent:.1f} % of the surface shows a single texel a face"
    elif uvs.covered_percent < SMALLEST_PERCENT:
        fault = f"they use {uvs.covered_percent:.3f} % of the texture"
    _refuse(path, paint, fault)


def _refuse(path: Path, paint: Part, fault: str | None) -> None:
    if fault is not None:
        (u0, v0), (u1, v1) = paint.mesh.uv.min(0), paint.mesh.uv.max(0)
        raise DataError(
            f"{path}: the UVs of the paint's material {paint.material!r} cannot show a livery: "
            f"{fault} (u {u0:.4g} to {u1:.4g}, v {v0:.4g} to {v1:.4g}); give the right material "
            "with --paint-material, unwrap it in your 3D editor, or give --unwrap to unwrap it here"
        )


def _extent_fault(mesh: Mesh) -> str | None:
    if (np.ptp(mesh.uv, axis=0) <= 0).any():
        return "all of them lie on one line"
    if np.abs(mesh.uv).max() > FARTHEST:
        return f"they lie further than {FARTHEST:.0f} textures from the first one"
    areas = _areas(mesh)
    wide = (np.ptp(mesh.uv[mesh.faces], axis=1) > TILES).any(1)
    repeated = 100 * areas[wide].sum() / areas.sum()
    if repeated > REPEATED:
        return (
            f"faces repeat the texture more than {TILES} times on {repeated:.1f} % of the surface"
        )
    return None


def _areas(mesh: Mesh) -> Floats:
    """Area [m] of each face."""
    a, b, c = (mesh.position[mesh.faces[:, k]] for k in range(3))
    return np.asarray(np.linalg.norm(np.cross(b - a, c - a), axis=1) / 2)
