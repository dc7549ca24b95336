"""Reads mesh files with trimesh into parts, one for each material. Only this module uses trimesh.

Parts other than the paint are shown in one colour: their material's, or the mean of its picture.
"""

from __future__ import annotations

import importlib
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from uvtex.data.pictures import numbers
from uvtex.errors import DataError, UvtexError
from uvtex.showroom.cars.mesh import Floats, Ints, Mesh, merge
from uvtex.showroom.cars.subject import Colour

SUFFIXES = (".obj", ".glb")
GLASS = re.compile("glass|window|windscreen|windshield", re.IGNORECASE)
UNREADABLE: Colour = (0.2, 0.2, 0.2)
"""Linear albedo of a part whose material has no colour that can be read."""
LIGHTEST = 0.8
"""Largest albedo of a part; real materials on a car are not whiter."""
MTL = "uvtex.mtl"


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


def read(path: Path) -> list[Part]:
    """Reads the parts of an OBJ or GLB file, sorted by the name of their material.

    Raises:
        DataError: the file is missing, of another type or unreadable, it has no faces, or a
            vertex is NaN or infinite.
        UvtexError: trimesh is not installed.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise DataError(f"{path}: is neither OBJ nor GLB; export it as OBJ or GLB")
    scene = _loaded(path)
    found: dict[str, list[Part]] = {}
    for part in _parts(scene):
        found.setdefault(part.material, []).append(part)
    if not found:
        raise DataError(f"{path}: holds no faces; export the mesh with its triangles")
    parts = [_joined(found[name]) for name in sorted(found)]
    for part in parts:
        check_finite(path, part, "position", part.mesh.position)
    return parts


def _loaded(path: Path) -> Any:
    trimesh = library("trimesh")
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}; give the mesh's path") from None
    resolver = None
    if path.suffix.lower() == ".obj":
        content, resolver = _named_materials(path, content)
    try:
        return trimesh.load_scene(
            io.BytesIO(content),
            file_type=path.suffix.lower()[1:],
            resolver=resolver,
            process=False,
        )
    except Exception as error:  # trimesh raises many types of errors for broken files
        reason = f"{type(error).__name__}: {error}"
        raise DataError(
            f"{path}: not a readable mesh ({reason}); export it again, uncompressed"
        ) from None


def library(name: str) -> Any:
    """Imports an optional package of the extra ``showroom``.

    Raises:
        UvtexError: the package is not installed.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise UvtexError(
            f"your own car needs {name}: {error}; pip install 'uvtex-sweep[showroom]'"
        ) from error


def _named_materials(path: Path, content: bytes) -> tuple[bytes, dict[str, bytes]]:
    """The OBJ, and a material library that defines every material of the OBJ.

    trimesh drops the names of undefined materials, and people often forget to send the library.
    """
    text = content.decode("utf-8", errors="replace").replace("\r\n", "\n")
    libraries = re.findall(r"^mtllib[ \t]+(.+?)[ \t]*$", text, re.MULTILINE)
    lines: list[str] = []
    for library_name in libraries:
        lines.extend(_library_lines(path.parent / library_name))
    known = {line[7:].strip() for line in lines if line.startswith("newmtl ")}
    used = re.findall(r"^usemtl[ \t]+(.+?)[ \t]*$", text, re.MULTILINE)
    for name in dict.fromkeys(used):
        if name not in known:
            lines.extend([f"newmtl {name}", "Kd 0.5 0.5 0.5"])
    text = re.sub(r"^mtllib.*$", "", text, flags=re.MULTILINE)
    return f"mtllib {MTL}\n{text}".encode(), {MTL: "\n".join(lines).encode()}


def _library_lines(path: Path) -> list[str]:
    """The lines of a material library without its pictures; no lines where the file is missing."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    lines = [line.strip() for line in text.splitlines()]
    return [line for line in lines if re.match(r"(newmtl|Kd|d|Tr)\s", line)]


def _parts(scene: Any) -> Iterator[Part]:
    # Sorted, because trimesh guarantees no order, and the path tracer's noise depends on it.
    for node in sorted(scene.graph.nodes_geometry):
        transform, name = scene.graph[node]
        geometry = scene.geometry[name]
        if not len(getattr(geometry, "faces", ())):
            continue
        material = getattr(geometry.visual, "material", None)
        title = getattr(material, "name", None) or name
        yield _part(str(title), geometry, np.asarray(transform, dtype=float), material)


def _part(title: str, geometry: Any, transform: Floats, material: Any) -> Part:
    position = np.asarray(geometry.vertices, dtype=float)
    faces = np.asarray(geometry.faces, dtype=np.int64)
    uv = getattr(geometry.visual, "uv", None)
    has_uv = uv is not None and len(uv) == len(position)
    linear = transform[:3, :3]
    if np.linalg.det(linear) < 0:
        faces = faces[:, ::-1]
    colour, clear, fault = _colour(material)
    mesh = Mesh(
        position @ linear.T + transform[:3, 3],
        _normals(geometry, position, faces, linear),
        np.asarray(uv, dtype=float)[:, :2] if has_uv else np.zeros((len(position), 2)),
        faces,
    )
    return Part(title, mesh, has_uv, colour, clear or bool(GLASS.search(title)), fault)


def _normals(geometry: Any, position: Floats, faces: Ints, linear: Floats) -> Floats:
    """Unit normals [n, 3] of the file; a broken normal becomes that of a face, or z."""
    with np.errstate(all="ignore"):
        normal = np.asarray(geometry.vertex_normals, dtype=float) @ np.linalg.pinv(linear)
        normal /= np.linalg.norm(normal, axis=1, keepdims=True)
        a, b, c = (position[faces[:, k]] for k in range(3))
        flat = np.cross(b - a, c - a) @ np.linalg.pinv(linear)
        flat /= np.linalg.norm(flat, axis=1, keepdims=True)
    broken = ~np.isfinite(normal).all(1)
    from_faces = np.zeros_like(normal)
    from_faces[faces.ravel()] = np.repeat(flat, 3, axis=0)
    normal[broken] = from_faces[broken]
    normal[~np.isfinite(normal).all(1)] = (0.0, 0.0, 1.0)
    return np.asarray(normal)


def _colour(material: Any) -> tuple[Colour, bool, str | None]:
    """Linear albedo of a material, whether it is transparent, and why the albedo is UNREADABLE."""
    if material is None:
        return UNREADABLE, False, None
    try:
        main = np.asarray(material.main_color, dtype=float) / 255
        clear = bool(main[3] < 0.95) or getattr(material, "alphaMode", None) == "BLEND"
        picture = getattr(material, "baseColorTexture", None)
        if picture is not None:
            # glTF 2.0, "Images": a profile or a gamma in the picture must be ignored.
            mean = np.asarray(numbers(picture).resize((1, 1)), dtype=float).ravel() / 255
            main = np.append(main[:3] * mean, 1.0)
    except Exception as error:  # decoders of broken pictures raise nearly anything
        return UNREADABLE, False, f"{type(error).__name__}: {error}"
    r, g, b = (float(v) for v in np.minimum(main[:3] ** 2.2, LIGHTEST))
    return (r, g, b), clear, None


def _joined(parts: list[Part]) -> Part:
    first = parts[0]
    mesh = merge(part.mesh for part in parts)
    has_uv = all(part.has_uv for part in parts)
    return Part(first.material, mesh, has_uv, first.colour, first.glass, first.colour_fault)


def check_finite(path: Path, part: Part, what: str, values: Floats) -> None:
    """Checks that all ``values`` [n, k] of the vertices of ``part`` are finite.

    Args:
        what: the name of the values, for the error message.

    Raises:
        DataError: a value is NaN or infinite.
    """
    broken = int((~np.isfinite(values).all(1)).sum())
    if broken:
        raise DataError(
            f"{path}: material {part.material!r}: {broken} of {len(values)} vertices have a {what} "
            "that is NaN or infinite; repair the mesh (delete loose or broken vertices) and "
            "export it again"
        )
