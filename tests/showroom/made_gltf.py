"""Writes small glTF files by hand, in any encoding that exporters use."""

from __future__ import annotations

import base64
import json
import struct
from pathlib import Path
from typing import Any

import numpy as np

from tests.showroom.made_car import Faces
from uvtex.showroom.cars.mesh_files import mesh_file

CODES = {"i1": 5120, "u1": 5121, "i2": 5122, "u2": 5123, "u4": 5125, "f4": 5126}
TYPES = {1: "SCALAR", 2: "VEC2", 3: "VEC3", 4: "VEC4", 16: "MAT4"}
Soup = tuple[np.ndarray, np.ndarray]


def corners(faces: Faces) -> Soup:
    """Positions [n, 3] and UVs [n, 2], v upwards, of the corners of two triangles a quad."""
    position = np.array([quad for quad, _ in faces])[:, [0, 1, 2, 0, 2, 3]].reshape(-1, 3)
    spots = [((a, b), (c, b), (c, d), (a, d)) for _, (a, b, c, d) in faces]
    return position, np.array(spots)[:, [0, 1, 2, 0, 2, 3]].reshape(-1, 2)


def soup_of(path: Path) -> np.ndarray:
    """[m, 3, 5]: position and UV of each triangle's corners, z up, sorted."""
    parts = mesh_file.read(path)
    rows = [
        np.concatenate([part.mesh.position, part.mesh.uv], 1)[part.mesh.faces] for part in parts
    ]
    found = np.concatenate(rows)
    found[..., :3] = found[..., [0, 2, 1]] * (1, -1, 1)
    return canonical(found)


def canonical(soup: np.ndarray) -> np.ndarray:
    """Triangles with area, the smallest corner first, sorted."""
    rounded = np.round(soup, 5) + 0.0
    edges = rounded[:, 1:, :3] - rounded[:, :1, :3]
    solid = rounded[np.linalg.norm(np.cross(edges[:, 0], edges[:, 1]), axis=1) > 1e-9]
    turned = [
        min((np.roll(triangle, k, 0) for k in range(3)), key=lambda t: t.ravel().tolist())
        for triangle in solid
    ]
    return np.array(sorted(t.ravel().tolist() for t in turned))


def expected(soup: Soup) -> np.ndarray:
    return canonical(np.concatenate(soup, 1).reshape(-1, 3, 5))


class MadeGltf:
    """A glTF file in the making."""

    def __init__(self) -> None:
        self.tree: dict[str, Any] = {
            "asset": {"version": "2.0"}, "scene": 0, "scenes": [{"nodes": [0]}], "nodes": [],
            "meshes": [], "materials": [{"name": "paint"}], "accessors": [], "bufferViews": [],
        }  # fmt: skip
        self.blob = bytearray()

    def view(self, content: bytes, stride: int | None = None) -> int:
        """Adds a buffer view; returns its index."""
        self.blob += bytes(-len(self.blob) % 4)
        entry = {"buffer": 0, "byteOffset": len(self.blob), "byteLength": len(content)}
        self.blob += content
        self.tree["bufferViews"].append(entry | ({} if stride is None else {"byteStride": stride}))
        return len(self.tree["bufferViews"]) - 1

    def accessor(
        self, values: np.ndarray, kind: str = "f4", normalized: bool = False, stride: int = 0,
        sparse: bool = False,
    ) -> int:  # fmt: skip
        """Adds ``values`` [n, width] as they are to be stored; returns the accessor's index."""
        stored = np.ascontiguousarray(values.astype(f"<{kind}"))
        entry: dict[str, Any] = {
            "componentType": CODES[kind], "count": len(stored), "type": TYPES[stored.shape[1]],
        }  # fmt: skip
        if normalized:
            entry["normalized"] = True
        base = stored.copy()
        if sparse:
            places = np.arange(0, len(stored), 2)
            base[places] = 0
            entry["sparse"] = {
                "count": len(places),
                "indices": {"bufferView": self.view(places.astype("<u2").tobytes()), "componentType": 5123},  # noqa: E501
                "values": {"bufferView": self.view(stored[places].tobytes())},
            }  # fmt: skip
        size = stored.itemsize * stored.shape[1]
        if stride:
            rows = np.full((len(base), max(stride, size)), 0xA5, np.uint8)
            rows[:, :size] = base.view(np.uint8).reshape(len(base), size)
            entry["bufferView"] = self.view(rows.tobytes(), max(stride, size))
        else:
            entry["bufferView"] = self.view(base.tobytes())
        self.tree["accessors"].append(entry)
        return len(self.tree["accessors"]) - 1

    def primitive(self, soup: Soup, more: dict[str, Any] | None = None) -> dict[str, Any]:
        """A primitive of loose triangles in floats."""
        position, uv = soup
        attributes = {
            "POSITION": self.accessor(position), "TEXCOORD_0": self.accessor(uv * (1, -1) + (0, 1)),
        }  # fmt: skip
        return {"attributes": attributes, "material": 0, **(more or {})}

    def mesh(self, *primitives: dict[str, Any], node: dict[str, Any] | None = None) -> None:
        """Adds a mesh and a node that shows it. The node turns z up to y up unless it is given."""
        self.tree["meshes"].append({"primitives": list(primitives)})
        turned = {"rotation": [-(0.5**0.5), 0.0, 0.0, 0.5**0.5]} if node is None else node
        self.tree["nodes"].append({"mesh": len(self.tree["meshes"]) - 1, **turned})
        self.tree["scenes"][0]["nodes"] = list(range(len(self.tree["nodes"])))

    def glb(self) -> bytes:
        """The file as GLB."""
        self.tree["buffers"] = [{"byteLength": len(self.blob)}]
        text = json.dumps(self.tree).encode()
        text += b" " * (-len(text) % 4)
        blob = bytes(self.blob) + bytes(-len(self.blob) % 4)
        chunks = struct.pack("<II", len(text), 0x4E4F534A) + text
        chunks += struct.pack("<II", len(blob), 0x004E4942) + blob
        return struct.pack("<4sII", b"glTF", 2, 12 + len(chunks)) + chunks

    def gltf(self, path: Path, uri: str | None = None) -> None:
        """Writes glTF, its buffer as a data URI, or as ``uri`` that stands for a file beside it."""
        data = "data:application/octet-stream;base64," + base64.b64encode(self.blob).decode()
        self.tree["buffers"] = [{"byteLength": len(self.blob), "uri": uri or data}]
        path.write_text(json.dumps(self.tree))


def simple_car(faces: Faces) -> MadeGltf:
    """A car of one material."""
    made = MadeGltf()
    made.mesh(made.primitive(corners(faces)))
    return made
