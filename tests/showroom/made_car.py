"""Small cars as files, written by hand: boxes whose faces have places in an atlas."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from uvtex.showroom import CarSettings
from uvtex.showroom.cars import own_car
from uvtex.showroom.cars.own_car import OwnCar

SHARED = Path(__file__).parents[2] / ".." / "shared" / "cars"
needs_shared = pytest.mark.skipif(
    not SHARED.is_dir(), reason="../shared/cars, with two real cars, is missing"
)
Faces = list[tuple[list[tuple[float, float, float]], tuple[float, float, float, float] | None]]


def block(
    low: tuple[float, float, float], high: tuple[float, float, float], cell: int, cells: int
) -> Faces:
    """Six quads of a box in metres, z up, with places of their own in a row of the atlas."""
    (x0, y0, z0), (x1, y1, z1) = low, high
    quads = [
        [(x0, y0, z0), (x1, y0, z0), (x1, y0, z1), (x0, y0, z1)],
        [(x1, y1, z0), (x0, y1, z0), (x0, y1, z1), (x1, y1, z1)],
        [(x1, y0, z0), (x1, y1, z0), (x1, y1, z1), (x1, y0, z1)],
        [(x0, y1, z0), (x0, y0, z0), (x0, y0, z1), (x0, y1, z1)],
        [(x0, y0, z1), (x1, y0, z1), (x1, y1, z1), (x0, y1, z1)],
        [(x0, y0, z0), (x0, y1, z0), (x1, y1, z0), (x1, y0, z0)],
    ]
    v0, v1 = (cell + 0.05) / cells, (cell + 0.95) / cells
    return [(quad, ((n + 0.05) / 6, v0, (n + 0.95) / 6, v1)) for n, quad in enumerate(quads)]


def mirrored_flank() -> Faces:
    """The boxes' flanks, both on one place of the atlas."""
    faces = small_car()
    return [(faces[0][0], faces[0][1]), (faces[1][0], faces[0][1]), *faces[2:]]


def small_car() -> Faces:
    """A body and a cabin behind its middle; the nose points along x."""
    body = block((-2.2, -0.9, 0.1), (2.2, 0.9, 0.7), 0, 2)
    return body + block((-1.6, -0.7, 0.7), (0.3, 0.7, 1.2), 1, 2)


def obj(
    faces: Faces,
    material: str | None = "paint",
    turn: Callable[[tuple[float, float, float]], tuple[float, float, float]] = lambda p: p,
) -> str:
    lines = [] if material is None else [f"usemtl {material}"]
    vertex = texture = 1
    for quad, box in faces:
        lines.extend("v {} {} {}".format(*turn(point)) for point in quad)
        corners = [f"{vertex + k}" for k in range(4)]
        if box is not None:
            u0, v0, u1, v1 = box
            lines.extend(f"vt {u} {v}" for u, v in ((u0, v0), (u1, v0), (u1, v1), (u0, v1)))
            corners = [f"{vertex + k}/{texture + k}" for k in range(4)]
            texture += 4
        lines.append(f"f {' '.join(corners)}")
        vertex += 4
    return "\n".join(lines) + "\n"


def glb(position: np.ndarray, uv: np.ndarray | None, material: str = "paint") -> bytes:
    """A one-mesh GLB of loose triangles, written by hand so that its v runs downwards."""
    arrays = [position.astype("<f4")] + ([] if uv is None else [uv.astype("<f4")])
    blob = b"".join(array.tobytes() for array in arrays)
    views, start = [], 0
    for array in arrays:
        views.append({"buffer": 0, "byteOffset": start, "byteLength": array.nbytes})
        start += array.nbytes
    accessors = [
        {
            "bufferView": n, "componentType": 5126, "count": len(array),
            "type": f"VEC{array.shape[1]}",
            "min": array.min(0).tolist(), "max": array.max(0).tolist(),
        }
        for n, array in enumerate(arrays)
    ]  # fmt: skip
    attributes = {"POSITION": 0} | ({} if uv is None else {"TEXCOORD_0": 1})
    tree = {
        "asset": {"version": "2.0"}, "scene": 0, "scenes": [{"nodes": [0]}],
        "nodes": [{"mesh": 0, "scale": [2.0, 2.0, 2.0]}],
        "meshes": [{"name": "shell", "primitives": [{"attributes": attributes, "material": 0}]}],
        "materials": [{"name": material}], "accessors": accessors, "bufferViews": views,
        "buffers": [{"byteLength": len(blob)}],
    }  # fmt: skip
    text = json.dumps(tree).encode()
    text += b" " * (-len(text) % 4)
    chunks = struct.pack("<II", len(text), 0x4E4F534A) + text
    chunks += struct.pack("<II", len(blob), 0x004E4942) + blob
    return struct.pack("<4sII", b"glTF", 2, 12 + len(chunks)) + chunks


def load(path: Path, **changes: object) -> OwnCar:
    return own_car.load(CarSettings.model_validate({"file": str(path), **changes}))
