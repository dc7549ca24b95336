"""Reads glTF 2.0 files (GLB, or glTF with its buffers beside it), in their resting pose."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from uvtex.errors import DataError
from uvtex.showroom.cars.mesh import Floats, Ints
from uvtex.showroom.cars.mesh_files.geometry import Geometry
from uvtex.showroom.cars.mesh_files.gltf_file import GltfFile
from uvtex.showroom.cars.mesh_files.gltf_material import material_of, texture_of

SUFFIXES = (".glb", ".gltf")
APPLIED = ("KHR_mesh_quantization", "KHR_texture_transform", "EXT_mesh_gpu_instancing")
HARMLESS = re.compile(r"[A-Z]+_(materials|texture|lights|xmp|techniques|animation|audio)_?\w*")
"""Extensions that change neither triangles nor UVs, apart from the APPLIED ones."""
TRIANGLES, STRIP, FAN = 4, 5, 6


def read(path: Path, content: bytes) -> list[Geometry]:
    """The triangles of each primitive of the glTF file ``path``.

    Raises:
        DataError: the file is broken or compressed, or needs an extension that is not supported.
    """
    file = GltfFile(path, content)
    required = [str(name) for name in file.tree.get("extensionsRequired", ())]
    file.check_compression(required)
    for name in required:
        if name not in APPLIED and not HARMLESS.fullmatch(name):
            raise DataError(
                f"{path}: needs the extension {name}, which is not supported; export it again "
                "without that extension"
            )
    scene = _Scene(file)
    found = list(scene.geometries())
    if not found and scene.left_out:
        raise DataError(f"{path}: holds no faces, only points or lines; export it with its faces")
    if found:
        found[0] = replace(found[0], notes=(*scene.notes(), *found[0].notes))
    return found


class _Scene:
    """The nodes of a file's scene with their places."""

    def __init__(self, file: GltfFile) -> None:
        self.file = file
        self.nodes = [dict(node) for node in file.items("nodes")]
        self.left_out = 0
        """Number of primitives that are points or lines."""
        self.places: dict[int, Floats] = {}
        """[4, 4] of each node of the scene."""
        for root in self._roots():
            self._place(root, np.eye(4))

    def _roots(self) -> list[int]:
        scenes = self.file.items("scenes")
        if not scenes:
            children = {child for node in self.nodes for child in node.get("children", ())}
            return [index for index in range(len(self.nodes)) if index not in children]
        index = self.file.tree.get("scene", 0)
        return list(self.file.item("scenes", index).get("nodes", ()))

    def notes(self) -> Iterator[str]:
        """Lines of text for people: what of the file was left out or chosen."""
        scenes = self.file.items("scenes")
        if len(scenes) > 1:
            index = self.file.tree.get("scene", 0)
            name = scenes[index].get("name", index)
            yield f"has {len(scenes)} scenes; only the scene {name!r} is read"
        if self.file.items("animations"):
            yield "its animations are left out; the car is read in its resting pose"
        if self.left_out:
            yield f"{self.left_out} meshes of points or lines are left out; only faces are read"

    def _place(self, root: int, above: Floats) -> None:
        waiting = [(root, above)]
        while waiting:
            index, parent = waiting.pop()
            node = self.file.item("nodes", index)
            if index in self.places:
                raise self.file.fault(f"nodes[{index}] has two parents")
            self.places[index] = parent @ _transform(node)
            waiting.extend((child, self.places[index]) for child in node.get("children", ()))

    def geometries(self) -> Iterator[Geometry]:
        for index in sorted(self.places):
            node = self.nodes[index]
            if "mesh" not in node:
                continue
            mesh = self.file.item("meshes", node["mesh"])
            weights = node.get("weights", mesh.get("weights", ()))
            given = str(mesh.get("name") or node.get("name") or "")
            title = " ".join(given.split()) or f"mesh_{node['mesh']}"
            primitives = mesh["primitives"]
            for number, primitive in enumerate(primitives):
                name = title if len(primitives) == 1 else f"{title}_{number}"
                shape = _Primitive(self.file, primitive, weights, name)
                if shape.faces is None:
                    self.left_out += 1
                    continue
                for place in self._instances(index, node, shape):
                    yield shape.geometry(place)

    def _instances(self, index: int, node: dict[str, Any], shape: _Primitive) -> Iterator[Floats]:
        """The places of the node's mesh: [4, 4], or [n, 4, 4] where a skin moves each vertex."""
        instancing = node.get("extensions", {}).get("EXT_mesh_gpu_instancing")
        if "skin" in node and "JOINTS_0" in shape.attributes:
            yield self._skinned(self.file.item("skins", node["skin"]), shape.attributes)
        elif instancing is None:
            yield self.places[index]
        else:
            attributes = instancing["attributes"]
            arrays = {
                name.lower(): self.file.array(attributes[name], "VEC3", "VEC4")
                for name in ("TRANSLATION", "ROTATION", "SCALE")
                if name in attributes
            }
            for row in range(min((len(array) for array in arrays.values()), default=1)):
                moved = _transform({name: array[row] for name, array in arrays.items()})
                yield self.places[index] @ moved

    def _skinned(self, skin: dict[str, Any], attributes: dict[str, int]) -> Floats:
        joints = [self.places.get(joint, np.eye(4)) for joint in skin["joints"]]
        bones = np.stack(joints)
        if "inverseBindMatrices" in skin:
            inverse = self.file.array(skin["inverseBindMatrices"], "MAT4")[: len(bones)]
            bones = bones @ inverse.reshape(-1, 4, 4).transpose(0, 2, 1)
        total: Floats = np.zeros(1)
        weight: Floats = np.zeros(1)
        for n in range(len(attributes)):
            if f"JOINTS_{n}" in attributes and f"WEIGHTS_{n}" in attributes:
                which = self.file.array(attributes[f"JOINTS_{n}"], "VEC4").astype(np.int64)
                share = self.file.array(attributes[f"WEIGHTS_{n}"], "VEC4")
                if (which >= len(bones)).any():
                    raise self.file.fault("has vertices with joints that its skin lacks")
                for k in range(4):
                    total = total + share[:, k, None, None] * bones[which[:, k]]
                    weight = weight + share[:, k]
        return np.asarray(total / np.where(weight == 0, 1, weight)[:, None, None])


class _Primitive:
    """One primitive of a mesh, before it is placed."""

    def __init__(self, file: GltfFile, primitive: dict[str, Any], weights: Any, name: str) -> None:
        self.file = file
        self.attributes: dict[str, int] = primitive["attributes"]
        self.notes: list[str] = []
        position = file.item("accessors", self.attributes["POSITION"])
        if "bufferView" not in position and "sparse" not in position:
            file.check_compression(primitive.get("extensions", {}))
        self.position = file.array(self.attributes["POSITION"], "VEC3")
        for weight, target in zip(weights, primitive.get("targets", ()), strict=False):
            if weight and "POSITION" in target:
                self.position += weight * file.array(target["POSITION"], "VEC3")
        self.faces = self._faces(primitive)
        self.normal = self._optional("NORMAL", "VEC3")
        source = (
            dict(file.item("materials", primitive["material"])) if "material" in primitive else {}
        )
        self.material = material_of(file, source, name)
        self.uv = self._uv(source)
        variants = primitive.get("extensions", {}).get("KHR_materials_variants")
        if variants:
            self.notes.append("has material variants (KHR_materials_variants); the default is read")

    def _optional(self, name: str, kind: str) -> Floats | None:
        if name not in self.attributes:
            return None
        found = self.file.array(self.attributes[name], kind)
        if len(found) != len(self.position):
            raise self.file.fault(
                f"has {len(self.position)} vertices, but {len(found)} values of {name}"
            )
        return found

    def _faces(self, primitive: dict[str, Any]) -> Ints | None:
        """The triangles; None for points and lines."""
        mode, count = primitive.get("mode", TRIANGLES), len(self.position)
        if mode not in (TRIANGLES, STRIP, FAN):
            return None
        index = np.arange(count)
        if "indices" in primitive:
            index = self.file.array(primitive["indices"], "SCALAR")[:, 0].astype(np.int64)
        if (index >= count).any() or (index < 0).any():
            raise self.file.fault(f"has an index {int(index.max())}, but {count} vertices")
        if mode == TRIANGLES:
            if len(index) % 3:
                raise self.file.fault(
                    f"has triangles of {len(index)} corners, which 3 do not divide"
                )
            return index.reshape(-1, 3)
        if len(index) < 3:
            return np.zeros((0, 3), np.int64)
        if mode == FAN:
            first = np.broadcast_to(index[0], len(index) - 2)
            return np.stack([first, index[1:-1], index[2:]], 1)
        strip = np.stack([index[:-2], index[1:-1], index[2:]], 1)
        strip[1::2] = strip[1::2, [1, 0, 2]]
        return strip

    def _uv(self, material: dict[str, Any]) -> Floats | None:
        """The UVs [n, 2] at which the material's picture is looked up, v upwards."""
        found = texture_of(material)
        moved = found.get("extensions", {}).get("KHR_texture_transform", {})
        number = moved.get("texCoord", found.get("texCoord", 0))
        uv = self._optional(f"TEXCOORD_{number}", "VEC2")
        if uv is None:
            return None
        if number:
            self.notes.append(
                f"material {self.material.name!r} uses UV set {number} (TEXCOORD_{number})"
            )
        uv = uv * np.array(moved.get("scale", (1, 1)), dtype=float)
        cos, sin = np.cos(moved.get("rotation", 0)), np.sin(moved.get("rotation", 0))
        uv = uv @ np.array([[cos, -sin], [sin, cos]]) + np.array(moved.get("offset", (0, 0)))
        return np.asarray(uv * (1, -1) + (0, 1))

    def geometry(self, place: Floats) -> Geometry:
        """The primitive at ``place`` [4, 4] or [n, 4, 4]."""
        assert self.faces is not None
        if not np.isfinite(place).all():
            raise self.file.fault(f"places material {self.material.name!r} at NaN or infinity")
        linear, shift = place[..., :3, :3], place[..., :3, 3]
        position = _turned(linear, self.position) + shift
        faces = self.faces
        # A mirrored mesh is turned inside out; of a skin most vertices decide.
        if np.mean(np.linalg.det(linear)) < 0:
            faces = faces[:, ::-1]
        normal = None
        if self.normal is not None:
            inverse = np.asarray(np.linalg.pinv(linear), dtype=float)
            normal = _turned(inverse.swapaxes(-1, -2), self.normal)
        # Primitives may share one array of vertices, of which each uses a part.
        used, inverse = np.unique(faces, return_inverse=True)
        return Geometry(
            self.material,
            position[used],
            None if normal is None else normal[used],
            None if self.uv is None else self.uv[used],
            inverse.reshape(-1, 3),
            tuple(self.notes),
        )


def _turned(linear: Floats, vectors: Floats) -> Floats:
    return np.asarray((linear @ vectors[..., None])[..., 0])


def _transform(node: dict[str, Any]) -> Floats:
    """[4, 4] of a node."""
    if "matrix" in node:
        return np.array(node["matrix"], dtype=float).reshape(4, 4).T
    x, y, z, w = np.array(node.get("rotation", (0, 0, 0, 1)), dtype=float)
    length = x * x + y * y + z * z + w * w
    s = 2 / length if length > 0 else 0.0
    turn = np.array(
        [
            [1 - s * (y * y + z * z), s * (x * y - z * w), s * (x * z + y * w)],
            [s * (x * y + z * w), 1 - s * (x * x + z * z), s * (y * z - x * w)],
            [s * (x * z - y * w), s * (y * z + x * w), 1 - s * (x * x + y * y)],
        ]
    )
    found = np.eye(4)
    found[:3, :3] = turn * np.array(node.get("scale", (1, 1, 1)), dtype=float)
    found[:3, 3] = node.get("translation", (0, 0, 0))
    return found
