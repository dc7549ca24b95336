"""Reading of a car's file: axes, scale, the paint material, and refused files."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tests.showroom.made_car import SHARED, glb, load, needs_shared, obj, small_car
from tests.showroom.made_gltf import MadeGltf, corners
from uvtex.errors import DataError
from uvtex.showroom.cars.mesh import Mesh
from uvtex.showroom.cars.mesh_files import mesh_file
from uvtex.showroom.cars.placement import normalise_pose
from uvtex.showroom.rendering import plates
from uvtex.showroom.rendering.cameras import cameras

TURNS = {
    ("y", "x"): lambda p: (p[0], p[2], -p[1]),
    ("y", "z"): lambda p: (p[1], p[2], p[0]),
    ("y", "-z"): lambda p: (-p[1], p[2], -p[0]),
    ("z", "-y"): lambda p: (p[1], -p[0], p[2]),
    ("z", "-x"): lambda p: (-p[0], -p[1], p[2]),
}


@pytest.mark.parametrize("axes", TURNS, ids="-".join)
@pytest.mark.parametrize("given", [False, True], ids=["found", "given"])
def test_a_car_stands_on_the_floor_with_its_nose_forward(
    axes: tuple[str, str], given: bool
) -> None:
    points = np.array([point for quad, _ in small_car() for point in quad])
    turned = np.array([TURNS[axes](point) for point in points]) + np.array([5, -7, 3])
    up, nose = axes if given else ("auto", "auto")
    placed = normalise_pose(turned, up, nose, ".obj")
    assert (placed.up, placed.nose) == axes
    mesh = placed.applied(Mesh(turned, turned, turned[:, :2], np.zeros((0, 3), dtype=np.int64)))
    np.testing.assert_allclose(mesh.position, points - (0, 0, 0.1), atol=1e-9)
    assert np.linalg.det(placed.rotation) == pytest.approx(1), "a car is turned, never mirrored"


@given(st.floats(-5, 5))
@settings(max_examples=50, deadline=None)
def test_a_car_of_any_scale_gets_a_plausible_length(power: float) -> None:
    points = np.array([point for quad, _ in small_car() for point in quad]) * 10**power
    placed = normalise_pose(points, "auto", "auto", ".obj")
    assert 2 <= placed.size[0] <= 8
    assert (placed.scaled is None) == (2 <= 4.4 * 10**power <= 8)


@pytest.mark.parametrize(
    ("factor", "remark", "length"),
    [(100, "centimetres", 4.4), (1000, "millimetres", 4.4), (1e-3, "fits no unit", 4.5)],
)
def test_a_changed_scale_is_reported(
    factor: float, remark: str, length: float, tmp_path: Path
) -> None:
    text = obj(small_car(), turn=lambda p: (p[0] * factor, p[1] * factor, p[2] * factor))
    (tmp_path / "car.obj").write_text(text)
    car = load(tmp_path / "car.obj")
    assert car.placement.size[0] == pytest.approx(length)
    assert any(remark in line for line in car.remarks)


def two_materials(first: str, second: str) -> str:
    """The small car, eight of its faces in ``first``, the other four in ``second``."""
    lines = obj(small_car(), first).splitlines()
    rest = 1 + 8 * 9
    return "\n".join([*lines[:rest], f"usemtl {second}", *lines[rest:]])


@pytest.mark.parametrize(
    ("names", "chosen", "why"),
    [
        (("interior", "Car Paint"), "Car Paint", "by its name"),
        (("ext_body", "glass"), "ext_body", "by its name"),
        (("embodied", "disembodied"), "embodied", "fills most"),
        (("carpaint.001", "carbon"), "carpaint.001", "by its name"),
    ],
)
def test_the_paint_material_is_found(
    names: tuple[str, str], chosen: str, why: str, tmp_path: Path
) -> None:
    (tmp_path / "car.obj").write_text(two_materials(*names))
    car = load(tmp_path / "car.obj")
    assert car.facts["paint_material"] == chosen
    assert why in car.remarks[0]


def test_tiled_trim_is_not_chosen_as_the_paint(tmp_path: Path) -> None:
    """The trim fills the whole atlas, but many places of the car share each of its texels."""
    whole = [(quad, (0.0, 0.0, 1.0, 1.0)) for quad, _ in small_car()]
    raised = obj(small_car(), "one", lambda p: (p[0], p[1], p[2] + 2))
    lines = [raised, "usemtl two"]
    vertex = texture = 1 + 4 * len(small_car())
    for quad, (u0, v0, u1, v1) in whole:
        lines.extend("v {} {} {}".format(*point) for point in quad)
        lines.extend(f"vt {u} {v}" for u, v in ((u0, v0), (u1, v0), (u1, v1), (u0, v1)))
        lines.append("f " + " ".join(f"{vertex + k}/{texture + k}" for k in range(4)))
        vertex, texture = vertex + 4, texture + 4
    (tmp_path / "car.obj").write_text("\n".join(lines))
    assert load(tmp_path / "car.obj").facts["paint_material"] == "one"


def test_a_material_without_a_name_gets_the_name_of_its_mesh(tmp_path: Path) -> None:
    corners = np.array([[-1, 0, 0.4], [1, 0, 0.4], [1, 0.5, -0.4]])
    (tmp_path / "car.glb").write_bytes(glb(corners, corners[:, :2], material=""))
    (part,) = mesh_file.read(tmp_path / "car.glb")
    assert part.material == "shell"


def test_the_paint_material_can_be_given_and_the_error_lists_the_names(tmp_path: Path) -> None:
    (tmp_path / "car.obj").write_text(two_materials("paint", "Trim"))
    assert load(tmp_path / "car.obj", paint_material="trim").facts["paint_material"] == "Trim"
    with pytest.raises(DataError, match=r"no material is called 'lack'; there are: Trim, paint"):
        load(tmp_path / "car.obj", paint_material="lack")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("gone.obj", None, r"gone\.obj: cannot be read: No such file"),
        ("car.fbx", "Kaydara", "export it as OBJ or GLB"),
        ("text.glb", "hello", r"text\.glb: not a readable mesh"),
        ("cut.glb", glb(np.eye(3), np.eye(3)[:, :2])[:-20], r"cut\.glb: not a readable mesh"),
        (
            "bad.obj",
            "v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 9\n",
            r"bad\.obj: line 4: .* vertex 9",
        ),
        ("zero.obj", "", r"zero\.obj: holds no faces"),
        ("points.obj", "v 0 0 0\nv 1 0 0\nv 0 1 0\n", r"points\.obj: holds no faces"),
        ("bare.obj", obj([(q, None) for q, _ in small_car()]), r"no UVs.*--unwrap"),
        ("some.obj", obj([(small_car()[0][0], None), *small_car()[1:]]), r"no UVs.*some of its"),
        ("nan.obj", obj(small_car()).replace("v 2.2 ", "v nan ", 1), "1 of 48 vertices .* NaN"),
        ("uvnan.obj", obj(small_car()).replace("vt 0.325 ", "vt nan "), "a UV that is NaN"),
        ("line.obj", obj([(q, (0.5, 0, 0.5, 1)) for q, _ in small_car()]), "lie on one line"),
        ("flat.obj", obj(small_car(), turn=lambda p: (0.0, 0.0, 0.0)), "--up and --nose"),
    ],
)
def test_an_unusable_mesh_is_a_clear_error(
    name: str, content: str | bytes | None, message: str, tmp_path: Path
) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(DataError, match=message) as refused:
        load(path)
    assert "\n" not in str(refused.value)


@pytest.mark.slow
def test_a_car_with_a_million_faces_is_read(tmp_path: Path) -> None:
    """Measured: 7 s to read, 3 s to audit the UVs, 3 s for each camera."""
    side = 708
    along, across = np.linspace(-2.2, 2.2, side), np.linspace(-0.9, 0.9, side)
    x, y = (grid.ravel() for grid in np.meshgrid(along, across, indexing="ij"))
    z = 0.4 + 0.5 * np.exp(-((x + 0.3) ** 2)) - 0.1 * y**2
    index = np.arange(1, side * side + 1).reshape(side, side)
    a, b, c, d = (q.ravel() for q in (index[:-1, :-1], index[1:, :-1], index[1:, 1:], index[:-1, 1:]))  # fmt: skip  # noqa: E501
    faces = np.concatenate([np.stack([a, b, c], 1), np.stack([a, c, d], 1)])
    with (tmp_path / "big.obj").open("w") as file:
        np.savetxt(file, np.stack([x, y, z], 1), "v %.5f %.5f %.5f")
        np.savetxt(file, np.stack([(x + 2.2) / 4.4, (y + 0.9) / 1.8], 1), "vt %.5f %.5f")
        np.savetxt(file, np.repeat(faces, 2, 1), "f %d/%d %d/%d %d/%d")
    car = load(tmp_path / "big.obj")
    assert len(car.parts[0].mesh.faces) == len(faces) > 999_000
    assert car.uvs.shared_percent == 0
    plate = plates.trace(cameras(1, 0, car.subject)[0], 16, 4, 1, 0, car.subject)
    assert plate.mask.any()


@needs_shared
@pytest.mark.parametrize(("name", "shared"), [("murasama", 9.9), ("lynx", 10.2)])
def test_real_cars_have_the_facts_of_their_readme(name: str, shared: float) -> None:
    car = load(SHARED / name / f"{name}.obj")
    assert (car.facts["paint_material"], car.placement.up, car.placement.nose) == (
        "paint",
        "y",
        "x",
    )
    assert car.placement.scaled is None
    assert car.uvs.shared_percent == pytest.approx(shared, abs=0.3)


def test_a_broken_picture_in_a_material_is_reported_and_its_part_is_grey(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    picture = io.BytesIO()
    Image.fromarray(noise).save(picture, "PNG")
    made = MadeGltf()
    made.tree["images"] = [{"bufferView": made.view(picture.getvalue()), "mimeType": "image/png"}]
    made.tree["textures"] = [{"source": 0}]
    textured = {"pbrMetallicRoughness": {"baseColorTexture": {"index": 0}}}
    made.tree["materials"] = [{"name": "paint"}, {"name": "trim", **textured}]
    made.mesh(*[made.primitive(corners(small_car()), {"material": n}) for n in range(2)])
    content = bytearray(made.glb())
    begin = content.index(b"IDAT") + 4
    content[begin : begin + 400] = bytes(400)
    (tmp_path / "car.glb").write_bytes(bytes(content))
    car = load(tmp_path / "car.glb", paint_material="paint", up="z", nose="x")
    trim = car.parts[1]
    assert trim.material == "trim"
    assert trim.colour == mesh_file.UNREADABLE
    assert trim.colour_fault is not None
    remarks = [line for line in car.remarks if "'trim'" in line]
    assert len(remarks) == 1
    assert trim.colour_fault in remarks[0]
