"""Reads mesh files into parts, one for each material.

Parts other than the paint are shown in one colour: their material's, or the mean of its picture.
"""

from __future__ import annotations

import contextlib
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image

from uvtex.data.pictures import numbers
from uvtex.errors import DataError
from uvtex.showroom.cars.mesh import Ints, Mesh, merge
from uvtex.showroom.cars.mesh_files import gltf, obj_file
from uvtex.showroom.cars.mesh_files.geometry import Geometry, Material, complete_normals
from uvtex.showroom.cars.mesh_files.gltf_file import GltfFile
from uvtex.showroom.cars.subject import Colour

SUFFIXES = (".obj", *gltf.SUFFIXES)
GLASS = re.compile("glass|window|windscreen|windshield", re.IGNORECASE)
UNREADABLE: Colour = (0.2, 0.2, 0.2)
"""Linear albedo of a part whose material has no colour that can be read."""
LIGHTEST = 0.8
"""Largest albedo of a part; real materials on a car are not whiter."""

HUGE = 1e15
"""Values from here on count as infinite: no car is that far away, in no unit."""


@dataclass(frozen=True)
class Part:
    """All triangles of one material, in the file's axes and units."""

    material: str
    """Name of the material, or of the mesh where the material has no name."""
    mesh: Mesh
    """The part's mesh. Its UVs are zeros where ``has_uv`` is false."""
    has_uv: bool
    colour: Colour
    """Linear albedo."""
    glass: bool
    colour_fault: str | None = None
    """Why the material's colour could not be read, so that ``colour`` is UNREADABLE."""
    notes: tuple[str, ...] = ()
    """Lines of text for people: what of the file was left out or chosen."""
    lines: Ints | None = field(default=None, compare=False)
    """[n, 2]: the lines of an OBJ file that hold each vertex's position and UV."""


def read(path: Path) -> list[Part]:
    """Reads the parts of an OBJ or glTF file, sorted by the name of their material.

    Raises:
        DataError: the file is missing, of another type or unreadable, it has no faces, or a
            vertex is NaN or infinite.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise DataError(f"{path}: is neither OBJ nor glTF; export it as OBJ or GLB")
    found: dict[str, list[Geometry]] = {}
    for geometry in _read(path):
        if len(geometry.faces):
            found.setdefault(geometry.material.name, []).append(geometry)
    if not found:
        raise DataError(f"{path}: holds no faces; export the mesh with its triangles")
    # Sorted, because the path tracer's noise depends on the order.
    parts = [_joined(found[name]) for name in sorted(found)]
    for part in parts:
        check_finite(path, part, "position")
    return parts


def files(path: Path) -> list[Path]:
    """``path`` and the files beside it that hold a part of its mesh.

    Raises:
        DataError: a file is missing or unreadable.
    """
    if path.suffix.lower() not in gltf.SUFFIXES:
        return [path]
    with _readable(path):
        return [path, *GltfFile(path, path.read_bytes()).external_buffers()]


def _read(path: Path) -> list[Geometry]:
    reader = gltf.read if path.suffix.lower() in gltf.SUFFIXES else obj_file.read
    # NaN and infinity are found when all is read.
    with _readable(path), np.errstate(all="ignore"):
        return reader(path, path.read_bytes())


@contextlib.contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Turns every exception in the block into a DataError."""
    try:
        yield
    except DataError:
        raise
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}; give the mesh's path") from None
    except Exception as error:  # A glTF file may hold any JSON value at any place.
        reason = f"{type(error).__name__}: {error}"
        raise DataError(
            f"{path}: not a readable mesh ({reason}); export it again, uncompressed"
        ) from None


def _joined(geometries: list[Geometry]) -> Part:
    """The part of all ``geometries``, which have one material."""
    material = geometries[0].material
    colour, clear, fault = _colour(material)
    return Part(
        material.name,
        merge(_mesh(geometry) for geometry in geometries),
        all(geometry.uv is not None for geometry in geometries),
        colour,
        clear or bool(GLASS.search(material.name)),
        fault,
        tuple(dict.fromkeys(note for geometry in geometries for note in geometry.notes)),
        geometries[0].lines,
    )


def _mesh(geometry: Geometry) -> Mesh:
    uv = np.zeros((len(geometry.position), 2)) if geometry.uv is None else geometry.uv
    normal = complete_normals(geometry.position, geometry.faces, geometry.normal)
    return Mesh(geometry.position, normal, uv, geometry.faces)


def _colour(material: Material) -> tuple[Colour, bool, str | None]:
    """Linear albedo of a material, whether it is transparent, and why the albedo is UNREADABLE."""
    try:
        main = np.asarray(material.factor, dtype=float).clip(0, 1)
        clear = bool(main[3] < 0.95) or material.blended
        if material.picture is not None:
            picture = Image.open(io.BytesIO(material.picture()))
            # glTF 2.0, "Images": a profile or a gamma in the picture must be ignored.
            mean = np.asarray(numbers(picture).resize((1, 1)), dtype=float).ravel() / 255
            main = np.append(main[:3] * mean, 1.0)
    except Exception as error:  # decoders of broken pictures raise nearly anything
        return UNREADABLE, False, f"{type(error).__name__}: {error}"
    r, g, b = (float(v) for v in np.minimum(main[:3] ** 2.2, LIGHTEST))
    return (r, g, b), clear, None


def check_finite(path: Path, part: Part, what: Literal["position", "UV"]) -> None:
    """Checks that the positions or the UVs of ``part``, as its file gives them, are finite.

    Raises:
        DataError: a value is NaN or infinite.
    """
    values = part.mesh.position if what == "position" else part.mesh.uv
    broken = np.flatnonzero(~(np.abs(values) < HUGE).all(1))
    if len(broken):
        line = ""
        if part.lines is not None:
            line = f"line {part.lines[broken, 0 if what == 'position' else 1].min()}: "
        raise DataError(
            f"{path}: {line}material {part.material!r}: {len(broken)} of {len(values)} vertices "
            f"have a {what} that is NaN or infinite (or beyond {HUGE:.0e}); repair the mesh "
            "(delete loose or broken vertices) and export it again"
        )
