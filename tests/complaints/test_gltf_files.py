"""glTF files as exporters write them: each encoding gives the same car, or is refused by name."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.showroom.made_car import load, small_car
from tests.showroom.made_gltf import MadeGltf, corners, expected, simple_car, soup_of
from uvtex.errors import DataError
from uvtex.showroom import CarSettings, ShowroomSettings
from uvtex.showroom.cars.mesh_files import mesh_file
from uvtex.showroom.fingerprint import with_hashes


def test_normalised_integer_uvs_are_decoded(tmp_path: Path) -> None:
    position, uv = corners(small_car())
    for kind, most in (("u1", 255), ("u2", 65535)):
        made = MadeGltf()
        whole = np.round((uv * (1, -1) + (0, 1)) * most)
        attributes = {
            "POSITION": made.accessor(position),
            "TEXCOORD_0": made.accessor(whole, kind, normalized=True, stride=4),
        }
        made.mesh({"attributes": attributes, "material": 0})
        (tmp_path / "car.glb").write_bytes(made.glb())
        stored = whole / most * (1, -1) + (0, 1)
        np.testing.assert_allclose(soup_of(tmp_path / "car.glb"), expected((position, stored)), atol=1e-4)  # fmt: skip  # noqa: E501
        assert load(tmp_path / "car.glb").uvs.outside_percent == 0


def test_a_texture_transform_moves_the_uvs_to_the_texels_that_it_shows(tmp_path: Path) -> None:
    position, uv = corners(small_car())
    made = simple_car(small_car())
    moved = {"offset": [0.5, 0.25], "scale": [0.5, 0.25], "rotation": np.pi / 2}
    made.tree["materials"][0]["pbrMetallicRoughness"] = {
        "baseColorTexture": {"index": 0, "extensions": {"KHR_texture_transform": moved}}
    }
    made.tree["textures"] = [{}]
    (tmp_path / "car.glb").write_bytes(made.glb())
    u, v = uv[:, 0], 1 - uv[:, 1]
    there = np.stack([0.5 + 0.25 * v, 1 - (0.25 - 0.5 * u)], 1)
    np.testing.assert_allclose(soup_of(tmp_path / "car.glb"), expected((position, there)), atol=1e-4)  # fmt: skip  # noqa: E501


def test_the_uv_set_that_the_paint_s_picture_uses_is_read(tmp_path: Path) -> None:
    position, uv = corners(small_car())
    made = MadeGltf()
    attributes = {
        "POSITION": made.accessor(position), "TEXCOORD_0": made.accessor(uv * 0),
        "TEXCOORD_1": made.accessor(uv * (1, -1) + (0, 1)),
    }  # fmt: skip
    made.mesh({"attributes": attributes, "material": 0})
    base = {"baseColorTexture": {"index": 0, "texCoord": 1}}
    made.tree["materials"] = [{"name": "paint", "pbrMetallicRoughness": base}]
    made.tree["textures"] = [{}]
    (tmp_path / "car.glb").write_bytes(made.glb())
    np.testing.assert_allclose(soup_of(tmp_path / "car.glb"), expected((position, uv)), atol=1e-4)
    assert any("TEXCOORD_1" in line for line in load(tmp_path / "car.glb").remarks)


@pytest.mark.parametrize("uri", [None, "my%20car.bin", "sub/my%20car.bin", "MY%20CAR.BIN"])
def test_gltf_with_its_buffer_inside_or_beside_it_is_the_same_car(
    uri: str | None, tmp_path: Path
) -> None:
    made = simple_car(small_car())
    made.gltf(tmp_path / "car.gltf", uri)
    if uri is not None:
        (tmp_path / "my car.bin").write_bytes(made.blob)
    assert load(tmp_path / "car.gltf").placement.up == "y"
    np.testing.assert_allclose(soup_of(tmp_path / "car.gltf"), expected(corners(small_car())), atol=1e-4)  # fmt: skip  # noqa: E501


def test_a_changed_buffer_beside_a_gltf_file_makes_it_another_car(tmp_path: Path) -> None:
    made = simple_car(small_car())
    made.gltf(tmp_path / "car.gltf", "car.bin")
    hashes = []
    for first in (0, 1):
        (tmp_path / "car.bin").write_bytes(bytes([first]) + bytes(made.blob[1:]))
        sealed = with_hashes(ShowroomSettings(car=CarSettings(file=str(tmp_path / "car.gltf"))))
        assert sealed.car is not None
        hashes.append(sealed.car.sha256)
    assert hashes[0] != hashes[1]


def test_instances_skins_and_morph_targets_are_where_a_viewer_shows_them(tmp_path: Path) -> None:
    position, uv = corners(small_car())
    made = MadeGltf()
    shift = made.accessor(np.array([[0.0, 0, 0], [0, 0, 5.0]]))
    instanced = {"EXT_mesh_gpu_instancing": {"attributes": {"TRANSLATION": shift}}}
    made.mesh(made.primitive((position, uv)), node={"extensions": instanced})
    target = {"POSITION": made.accessor(np.full_like(position, 2.0))}
    made.mesh(made.primitive((position, uv), {"targets": [target]}), node={"weights": [0.5]})
    skinned = made.primitive((position, uv))
    skinned["attributes"] |= {
        "JOINTS_0": made.accessor(np.zeros((len(position), 4)), "u1"),
        "WEIGHTS_0": made.accessor(np.tile([255.0, 0, 0, 0], (len(position), 1)), "u1", True),
    }
    made.mesh(skinned, node={"skin": 0, "translation": [100.0, 0, 0]})
    made.tree["nodes"].append({"translation": [0.0, 7.0, 0.0]})
    made.tree["scenes"][0]["nodes"].append(3)
    made.tree["skins"] = [{"joints": [3]}]
    (tmp_path / "car.glb").write_bytes(made.glb())
    (part,) = mesh_file.read(tmp_path / "car.glb")
    shifts = [(0, 0, 0), (0, 0, 5), (1, 1, 1), (0, 7, 0)]
    there = np.concatenate([position + shift for shift in shifts])
    np.testing.assert_allclose(part.mesh.position, there, atol=1e-5)


def test_a_name_with_a_line_end_stays_on_one_line(tmp_path: Path) -> None:
    made = simple_car(small_car())
    made.tree["materials"][0]["name"] = "my\npaint "
    (tmp_path / "car.glb").write_bytes(made.glb())
    assert [part.material for part in mesh_file.read(tmp_path / "car.glb")] == ["my paint"]


def test_what_of_a_gltf_file_is_chosen_or_left_out_is_told(tmp_path: Path) -> None:
    made = simple_car(small_car())
    made.tree["meshes"][0]["primitives"].append({"attributes": {"POSITION": 0}, "mode": 1})
    made.tree["meshes"][0]["primitives"][0]["extensions"] = {
        "KHR_materials_variants": {"mappings": [{"material": 0, "variants": [0]}]}
    }
    made.tree["scenes"].append({"nodes": []})
    made.tree["animations"] = [{}]
    (tmp_path / "car.glb").write_bytes(made.glb())
    told = "\n".join(load(tmp_path / "car.glb").remarks)
    for expected_words in ("points or lines", "variants", "2 scenes", "resting pose"):
        assert expected_words in told


def draco(made: MadeGltf) -> None:
    made.tree["extensionsRequired"] = ["KHR_draco_mesh_compression"]


def draco_without_saying_so(made: MadeGltf) -> None:
    del made.tree["accessors"][0]["bufferView"]
    made.tree["meshes"][0]["primitives"][0]["extensions"] = {"KHR_draco_mesh_compression": {}}


def meshopt(made: MadeGltf) -> None:
    made.tree["extensionsRequired"] = ["EXT_meshopt_compression", "KHR_mesh_quantization"]


def unknown(made: MadeGltf) -> None:
    made.tree["extensionsRequired"] = ["KHR_materials_unlit", "ACME_voxels"]


def cut(made: MadeGltf) -> None:
    made.tree["bufferViews"][0]["byteLength"] += 10**6


def version_1(made: MadeGltf) -> None:
    made.tree["asset"]["version"] = "1.0"


def no_data(made: MadeGltf) -> None:
    del made.tree["accessors"][0]["bufferView"]


def lines(made: MadeGltf) -> None:
    made.tree["meshes"][0]["primitives"][0]["mode"] = 1


def far_index(made: MadeGltf) -> None:
    index = made.accessor(np.full((3, 1), 999), "u2")
    made.tree["meshes"][0]["primitives"][0]["indices"] = index


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (draco, "KHR_draco_mesh_compression.*Blender.*Compression off"),
        (draco_without_saying_so, "KHR_draco_mesh_compression.*Compression off"),
        (meshopt, "EXT_meshopt_compression.*gltfpack: leave out -c"),
        (unknown, "needs the extension ACME_voxels"),
        (cut, r"bufferViews\[0\] ends at byte"),
        (version_1, "is glTF 1.0; export it as glTF 2.0"),
        (no_data, r"accessors\[0\] has no data"),
        (lines, "holds no faces, only points or lines"),
        (far_index, "index 999, but 72 vertices"),
    ],
)
def test_what_cannot_be_read_of_a_gltf_file_is_named_with_what_to_do(
    change: Callable[[MadeGltf], None], message: str, tmp_path: Path
) -> None:
    made = simple_car(small_car())
    change(made)
    (tmp_path / "car.glb").write_bytes(made.glb())
    with pytest.raises(DataError, match=rf"car\.glb: .*{message}") as refused:
        load(tmp_path / "car.glb")
    assert "export" in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (simple_car(small_car()).glb()[:-40], "the file is cut off"),
        (b"glTF\x02", "the file is cut off"),
        (struct.pack("<4sII", b"glTF", 1, 20) + bytes(8), "GLB version 1; export it as glTF 2.0"),
        (b"{", "JSON cannot be read"),
        (b"[" * 100_000, "it is no glTF"),
        (b'{"asset": ' + b"[" * 100_000, "JSON cannot be read"),
        (b'{"buffers": [{"uri": "https://a.b/c.bin"}]}', "'https://a.b/c.bin' is not a file"),
        (b'{"buffers": [{"uri": "gone.bin"}]}', "'gone.bin' is missing; put it beside"),
    ],
)
def test_a_file_that_is_no_whole_gltf_file_is_one_clear_message(
    content: bytes, message: str, tmp_path: Path
) -> None:
    path = tmp_path / "car.gltf"
    path.write_bytes(content)
    with pytest.raises(DataError, match=message) as refused:
        mesh_file.files(path) and load(path)
    assert str(path) in str(refused.value)
