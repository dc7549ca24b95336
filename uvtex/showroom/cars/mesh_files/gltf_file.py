"""The container of a glTF file: its JSON, its buffers, and the arrays that are packed in them."""

from __future__ import annotations

import base64
import binascii
import json
import struct
from pathlib import Path
from typing import Any
from urllib.parse import unquote, unquote_to_bytes

import numpy as np
from numpy.typing import NDArray

from uvtex.errors import DataError
from uvtex.showroom.cars.mesh import Floats
from uvtex.showroom.cars.mesh_files.geometry import referenced

JSON, BIN = 0x4E4F534A, 0x004E4942
COMPONENTS = {5120: "<i1", 5121: "<u1", 5122: "<i2", 5123: "<u2", 5125: "<u4", 5126: "<f4"}
WIDTHS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4, "MAT4": 16}
MESHOPT = ("EXT_meshopt_compression", "KHR_meshopt_compression")
COMPRESSED = {
    "KHR_draco_mesh_compression": "export again without compression (Blender: File > Export > "
    "glTF 2.0 > Data > Compression off; glTF-Transform: not 'draco')",
    **dict.fromkeys(
        MESHOPT,
        "export again without compression (gltfpack: leave out -c and -cc; glTF-Transform: not "
        "'meshopt')",
    ),
}
"""Extensions that compress a mesh, and how to export without them."""
MOST_ZEROS = 10_000_000
"""Largest number of elements of an accessor whose elements are zeros, apart from a few."""


class GltfFile:
    """An open glTF file.

    Its methods raise DataError for what is missing, cut off or compressed.
    """

    def __init__(self, path: Path, content: bytes) -> None:
        self.path = path
        self.tree, self._blob = _unpacked(path, content)
        version = str(self.tree.get("asset", {}).get("version", "2.0"))
        if not version.startswith("2."):
            raise DataError(f"{path}: is glTF {version}; export it as glTF 2.0 (GLB)")
        self._buffers: dict[int, bytes] = {}

    def items(self, kind: str) -> list[Any]:
        """The objects of one kind, such as ``meshes``."""
        return list(self.tree.get(kind, ()))

    def item(self, kind: str, index: int) -> dict[str, Any]:
        """The object ``index`` of one kind, such as ``meshes``."""
        objects = self.items(kind)
        if not isinstance(index, int) or not 0 <= index < len(objects):
            raise self.fault(f"refers to {kind}[{index!r}], but has {len(objects)} of them")
        return dict(objects[index])

    def fault(self, what: str) -> DataError:
        """The error that the file is broken: it ``what``."""
        return DataError(f"{self.path}: {what}; the file is broken, export it again")

    def external_buffers(self) -> list[Path]:
        """The files beside this one that hold its buffers."""
        uris = [buffer.get("uri") for buffer in self.items("buffers")]
        return [self._beside(uri) for uri in uris if uri and not uri.startswith("data:")]

    def image(self, index: int) -> bytes:
        """The content of a picture file."""
        image = self.item("images", index)
        if "bufferView" in image:
            return self._view(image["bufferView"])[0].tobytes()
        return self._resolved(image["uri"])

    def _beside(self, uri: str) -> Path:
        if "://" in uri:
            raise DataError(
                f"{self.path}: {uri!r} is not a file beside it; export the car as GLB, which is "
                "one file"
            )
        found = referenced(self.path, unquote(uri)) or referenced(self.path, uri)
        if found is None:
            raise DataError(
                f"{self.path}: its file {unquote(uri)!r} is missing; put it beside, or export the "
                "car as GLB, which is one file"
            )
        return found

    def _resolved(self, uri: str) -> bytes:
        if uri.startswith("data:"):
            head, _, data = uri.partition(",")
            if not head.endswith(";base64"):
                return unquote_to_bytes(data)
            try:
                return base64.b64decode(unquote(data))
            except (binascii.Error, ValueError):
                raise self.fault("has a data URI that is not base64") from None
        found = self._beside(uri)
        try:
            return found.read_bytes()
        except OSError as error:
            raise DataError(f"{self.path}: {found}: cannot be read: {error.strerror}") from None

    def _buffer(self, index: int) -> bytes:
        if index not in self._buffers:
            buffer = self.item("buffers", index)
            if any(buffer.get("extensions", {}).get(name, {}).get("fallback") for name in MESHOPT):
                raise self._compressed(MESHOPT[0])
            if "uri" in buffer:
                self._buffers[index] = self._resolved(buffer["uri"])
            elif index == 0 and self._blob is not None:
                self._buffers[index] = self._blob
            else:
                raise self.fault(f"has no data for buffers[{index}]")
        return self._buffers[index]

    def _compressed(self, extension: str) -> DataError:
        return DataError(
            f"{self.path}: is compressed with {extension}, which is not supported; "
            f"{COMPRESSED[extension]}"
        )

    def check_compression(self, extensions: Any) -> None:
        """Raises DataError if one of ``extensions`` compresses the mesh."""
        for extension in COMPRESSED:
            if extension in extensions:
                raise self._compressed(extension)

    def _view(self, index: int) -> tuple[NDArray[np.uint8], int | None]:
        """The bytes of a buffer view, and the distance of its elements if it has one."""
        view = self.item("bufferViews", index)
        data = np.frombuffer(self._buffer(view["buffer"]), np.uint8)
        begin, length = view.get("byteOffset", 0), view["byteLength"]
        if begin < 0 or length < 0 or begin + length > len(data):
            raise self.fault(
                f"bufferViews[{index}] ends at byte {begin + length} of a buffer of {len(data)}"
            )
        return data[begin : begin + length], view.get("byteStride")

    def _elements(self, where: str, source: dict[str, Any], dtype: str, shape: tuple[int, int]) -> NDArray[Any]:  # fmt: skip  # noqa: E501
        """[count, width] numbers of the buffer view and the offset of ``source``."""
        data, stride = self._view(source["bufferView"])
        kind, (count, width) = np.dtype(dtype), shape
        step, begin = stride or kind.itemsize * width, source.get("byteOffset", 0)
        if begin < 0 or begin + step * (count - 1) + kind.itemsize * width > len(data):
            raise self.fault(f"{where} reads past the end of its bufferView")
        return np.ndarray(shape, kind, data, begin, (step, kind.itemsize)).copy()

    def array(self, index: int, *types: str) -> Floats:
        """The numbers [count, width] of an accessor, decoded.

        Args:
            types: the types that are allowed here, such as ``VEC3``.
        """
        accessor, where = self.item("accessors", index), f"accessors[{index}]"
        kind, count = accessor["type"], accessor["count"]
        if kind not in types or accessor["componentType"] not in COMPONENTS:
            raise self.fault(
                f"{where} is {kind} of component type {accessor['componentType']}, not "
                f"{' or '.join(types)}"
            )
        dtype, shape = COMPONENTS[accessor["componentType"]], (int(count), WIDTHS[kind])
        if shape[0] < 1 or ("bufferView" not in accessor and shape[0] > MOST_ZEROS):
            raise self.fault(f"{where} has {count} elements")
        if "bufferView" in accessor:
            raw = self._elements(where, accessor, dtype, shape)
        elif "sparse" in accessor:
            raw = np.zeros(shape, dtype)
        else:
            raise self.fault(f"{where} has no data")
        if "sparse" in accessor:
            self._replace(where, accessor["sparse"], raw)
        values = raw.astype(np.float64)
        if accessor.get("normalized") and raw.dtype.kind in "iu":
            values = np.maximum(values / np.iinfo(raw.dtype).max, -1.0)
        return values

    def _replace(self, where: str, sparse: dict[str, Any], raw: NDArray[Any]) -> None:
        """Puts the elements of ``sparse`` in their places in ``raw``."""
        count, at = sparse["count"], sparse["indices"]
        dtype = COMPONENTS[at["componentType"]]
        places = self._elements(where, at, dtype, (count, 1))[:, 0].astype(np.int64)
        if (places >= len(raw)).any():
            raise self.fault(f"{where} has sparse elements past its end")
        raw[places] = self._elements(where, sparse["values"], raw.dtype.str, (count, raw.shape[1]))


def _unpacked(path: Path, content: bytes) -> tuple[dict[str, Any], bytes | None]:
    """The JSON and the binary chunk of a GLB or glTF file; its content tells which it is."""
    if not content.startswith(b"glTF"):
        if content.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] != b"{":
            raise DataError(f"{path}: not a readable mesh: it is no glTF file; export it as GLB")
        return _json(path, content), None
    if len(content) < 12:
        raise DataError(f"{path}: not a readable mesh: the file is cut off; copy it again")
    version, length = struct.unpack_from("<II", content, 4)
    if version != 2:
        raise DataError(f"{path}: is GLB version {version}; export it as glTF 2.0 (GLB)")
    if length > len(content):
        raise DataError(
            f"{path}: not a readable mesh: the file is cut off, {len(content)} of {length} bytes "
            "are there; copy it again"
        )
    chunks: dict[int, bytes] = {}
    start = 12
    while start + 8 <= length:
        size, kind = struct.unpack_from("<II", content, start)
        if start + 8 + size > length:
            raise DataError(
                f"{path}: not a readable mesh: a chunk of {size} bytes does not fit the file; "
                "export it again"
            )
        chunks.setdefault(kind, content[start + 8 : start + 8 + size])
        start += 8 + size
    return _json(path, chunks.get(JSON, b"")), chunks.get(BIN)


def _json(path: Path, content: bytes) -> dict[str, Any]:
    try:
        tree = json.loads(content.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise DataError(
            f"{path}: not a readable mesh: its JSON cannot be read ({error}); export it again"
        ) from None
    if not isinstance(tree, dict):
        raise DataError(f"{path}: not a readable mesh: its JSON is no object; export it again")
    return tree
