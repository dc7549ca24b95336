"""Cars and liveries of one's own: what is read and refused, and that the pictures are right."""

from __future__ import annotations

import json
import struct
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from uvtex.cli import main
from uvtex.data import manifest
from uvtex.errors import ConfigError, DataError, UvtexError
from uvtex.showroom import (
    CarSettings,
    Pose,
    ShowroomSettings,
    build,
    livery_files,
    meshfile,
    own_car,
    plates,
    poses,
)
from uvtex.showroom.cameras import cameras
from uvtex.showroom.car_files import texels_of
from uvtex.showroom.compose import compose, linear_from_srgb, srgb_from_linear
from uvtex.showroom.mesh import Mesh
from uvtex.showroom.own_car import OwnCar
from uvtex.showroom.placing import place
from uvtex.showroom.sharing import examine

SHARED = Path(__file__).parents[1] / ".." / "shared" / "cars"
needs_shared = pytest.mark.skipif(
    not SHARED.is_dir(), reason="../shared/cars, with two real cars, is missing"
)
SIZE = 32

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


@pytest.fixture
def car_file(tmp_path: Path) -> Path:
    path = tmp_path / "small.obj"
    path.write_text(obj(small_car()))
    return path


@pytest.fixture
def livery_folder(tmp_path: Path) -> Path:
    folder = tmp_path / "liveries"
    folder.mkdir()
    for name, colour in (("red", (200, 30, 30)), ("blue one", (20, 40, 190))):
        Image.new("RGB", (40, 40), colour).save(folder / f"{name}.png")
    return folder


def load(path: Path, **changes: object) -> OwnCar:
    return own_car.load(CarSettings.model_validate({"file": str(path), **changes}))


def call(*args: object) -> Result:
    return CliRunner().invoke(main, ["showroom", "build", *(str(arg) for arg in args)])


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    return float(-10 * np.log10(np.mean((a - b) ** 2)))


def noisy_texture(side: int) -> np.ndarray:
    """Coarse coloured squares [side, side, 3] in [0, 1]."""
    coarse = np.random.default_rng(3).random((8, 8, 3), dtype=np.float32)
    return np.kron(coarse, np.ones((side // 8, side // 8, 1), dtype=np.float32))


def gap(car: OwnCar, texture: np.ndarray, camera: int) -> float:
    """PSNR inside the mask of a composed view against a direct path trace."""
    stand = cameras(6, 0, car.subject)[camera]
    plate = plates.trace(stand, SIZE, 100, 4, 0, car.subject)
    batch = torch.from_numpy(texture).permute(2, 0, 1)[None]
    view = compose(batch, *map(torch.from_numpy, (plate.uv, plate.falling, plate.reflected)))
    linear = linear_from_srgb(torch.from_numpy(texture)).numpy()
    traced = plates.render(stand, SIZE, 225, 7, linear, car.subject)
    direct = srgb_from_linear(torch.from_numpy(traced)).numpy()
    mask = plate.mask > 0
    assert mask.mean() > 0.05
    return psnr(view[0].permute(1, 2, 0).numpy()[mask], direct[mask])


@pytest.mark.parametrize("camera", [0, 4])
def test_a_composed_view_of_a_small_car_equals_a_path_traced_one(
    car_file: Path, camera: int
) -> None:
    found = gap(load(car_file), noisy_texture(64), camera)
    assert found >= 30, f"PSNR inside the mask is {found:.1f} dB"


@needs_shared
@pytest.mark.parametrize("name", ["murasama", "lynx"])
def test_a_composed_view_of_a_real_car_equals_a_path_traced_one(name: str) -> None:
    from uvtex.data.pictures import read_rgb

    car = load(SHARED / name / f"{name}.obj")
    livery = sorted((SHARED / name / "liveries").iterdir())[0]
    texture = read_rgb(livery, 128).astype(np.float32) / 255
    found = gap(car, texture, 2)
    assert found >= 30, f"PSNR inside the mask is {found:.1f} dB"


@pytest.mark.parametrize("beyond", [0.0, 3.0], ids=["inside", "repeating"])
def test_the_uv_map_round_trips_a_checker(tmp_path: Path, beyond: float) -> None:
    """Painted, composed, and read back through the map, a checker is the checker again."""
    faces = [
        (quad, None if box is None else (box[0] + beyond, box[1], box[2] + beyond, box[3]))
        for quad, box in small_car()
    ]
    (tmp_path / "car.obj").write_text(obj(faces))
    car = load(tmp_path / "car.obj")
    assert car.subject.repeats == (beyond > 0)
    cells, side = 12, 96
    checker = np.indices((cells, cells)).sum(0) % 2
    texture = np.kron(0.2 + 0.3 * checker, np.ones((side // cells,) * 2)).astype(np.float32)
    stand = cameras(6, 0, car.subject)[0]
    plate = plates.trace(stand, 48, 16, 1, 0, car.subject)
    batch = torch.from_numpy(texture).expand(1, 3, side, side)
    view = compose(batch, *map(torch.from_numpy, (plate.uv, plate.falling, plate.reflected)))
    linear = linear_from_srgb(view)[0, 0].numpy()
    lit = (plate.mask == 255) & (plate.falling[..., 0] > 0.05) & (linear < 0.99)
    albedo = (linear - plate.reflected[..., 0])[lit] / plate.falling[..., 0][lit]
    read = srgb_from_linear(torch.from_numpy(albedo)).numpy()
    uv = plate.uv[lit]
    inner = (np.abs(np.mod(uv * cells, 1) - 0.5) < 0.4).all(1)
    row, column = texels_of(uv[inner], cells)
    assert len(np.unique(row * cells + column)) > 20
    np.testing.assert_allclose(read[inner], 0.2 + 0.3 * checker[row, column], atol=0.01)


def test_good_uvs_are_kept_and_called_good(car_file: Path) -> None:
    car = load(car_file)
    assert car.uvs.shared_percent == 0
    assert car.uvs.outside_percent == 0
    assert car.uvs.covered_percent == pytest.approx(81, abs=1)
    assert "the UVs are good" in car.remarks[-1]


def test_mirrored_parts_are_marked_with_their_percentage(tmp_path: Path) -> None:
    (tmp_path / "car.obj").write_text(obj(mirrored_flank()))
    car = load(tmp_path / "car.obj")
    assert car.uvs.shared_percent == pytest.approx(100 / 11, abs=0.2)
    assert "9.1 % of the texels in use are shared" in car.remarks[-1]
    picture = car.uvs.picture(64)
    assert picture[-10, 5] == 255, "the flank's place, at the left of the lower row"
    assert picture[:32].max() == 0


def test_the_faces_of_a_thin_sheet_are_one_place() -> None:
    corners = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0]], dtype=float)
    position = np.concatenate([corners, corners + np.array([0, 0, 0.004])])
    uv = np.tile([[0.1, 0.1], [0.9, 0.1], [0.1, 0.9]], (2, 1))
    faces = np.array([[0, 1, 2], [5, 4, 3]])
    assert not examine(Mesh(position, position, uv, faces)).shared.any()
    position[3:] += (0, 0, 0.5)
    assert examine(Mesh(position, position, uv, faces)).shared_percent == 100


def test_faces_without_uv_area_are_told(tmp_path: Path) -> None:
    faces = small_car()
    faces[0] = (faces[0][0], (0.6, 0.6, 0.6, 0.6))
    (tmp_path / "car.obj").write_text(obj(faces))
    car = load(tmp_path / "car.obj")
    assert car.uvs.collapsed_percent > 5
    assert any("UVs without area" in line for line in car.remarks)
    assert car.uvs.shared.any()


def test_uvs_outside_the_unit_square_are_told_with_their_range(tmp_path: Path) -> None:
    faces = small_car()
    u0, v0, u1, v1 = faces[0][1] or (0, 0, 0, 0)
    faces[0] = (faces[0][0], (u0, v0 - 1, u1, v1 - 1))
    (tmp_path / "car.obj").write_text(obj(faces))
    car = load(tmp_path / "car.obj")
    assert car.uvs.outside_percent == pytest.approx(100 / 12)
    assert any("outside the unit square (u 0.01 to 0.99, v -0.97" in line for line in car.remarks)
    assert car.uvs.shared_percent == 0, "wrapped round, the flank lies where it lay"


def test_uvs_are_unwrapped_only_when_asked(tmp_path: Path) -> None:
    (tmp_path / "car.obj").write_text(obj(mirrored_flank()))
    assert load(tmp_path / "car.obj").uvs.shared_percent > 0
    car, again = (load(tmp_path / "car.obj", unwrap=True) for _ in range(2))
    assert car.uvs.shared_percent == 0
    assert car.uvs.covered_percent > 30
    np.testing.assert_array_equal(car.parts[0].mesh.uv, again.parts[0].mesh.uv)


def test_an_unwrapped_car_is_written_so_that_it_can_be_painted(
    tmp_path: Path, livery_folder: Path
) -> None:
    bare: Faces = [(quad, None) for quad, _ in small_car()]
    (tmp_path / "car.obj").write_text(obj(bare))
    out = tmp_path / "set"
    done = call(out, "--car", tmp_path / "car.obj", "--liveries", livery_folder, "--unwrap", *QUICK)
    assert done.exit_code == 0, done.output
    back = load(out / "car_unwrapped.obj")
    first = load(tmp_path / "car.obj", unwrap=True)
    assert back.placement.size == pytest.approx(first.placement.size, abs=1e-3)
    assert back.uvs.covered_percent == pytest.approx(first.uvs.covered_percent, abs=0.2)


def test_a_glb_is_read_with_its_transforms_and_its_v_turned(tmp_path: Path) -> None:
    position = np.array([[-1, 0, 0.4], [1, 0, 0.4], [1, 0.5, -0.4]])
    uv = np.array([[0.1, 0.2], [0.9, 0.2], [0.9, 0.7]])
    (tmp_path / "car.glb").write_bytes(glb(position, uv))
    (part,) = meshfile.read(tmp_path / "car.glb")
    assert part.material == "paint"
    np.testing.assert_allclose(part.mesh.position[part.mesh.faces[0]], 2 * position, atol=1e-6)
    np.testing.assert_allclose(part.mesh.uv[part.mesh.faces[0]], uv * (1, -1) + (0, 1), atol=1e-6)
    assert load(tmp_path / "car.glb").placement.up == "y"


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
    placed = place(turned, up, nose, ".obj")
    assert (placed.up, placed.nose) == axes
    mesh = placed.applied(Mesh(turned, turned, turned[:, :2], np.zeros((0, 3), dtype=np.int64)))
    np.testing.assert_allclose(mesh.position, points - (0, 0, 0.1), atol=1e-9)
    assert np.linalg.det(placed.rotation) == pytest.approx(1), "a car is turned, never mirrored"


@given(st.floats(-5, 5))
@settings(max_examples=50, deadline=None)
def test_any_scale_ends_as_a_car_of_plausible_length(power: float) -> None:
    points = np.array([point for quad, _ in small_car() for point in quad]) * 10**power
    placed = place(points, "auto", "auto", ".obj")
    assert 2 <= placed.size[0] <= 8
    assert (placed.scaled is None) == (2 <= 4.4 * 10**power <= 8)


@pytest.mark.parametrize(
    ("factor", "said", "length"),
    [(100, "centimetres", 4.4), (1000, "millimetres", 4.4), (1e-3, "fits no unit", 4.5)],
)
def test_a_changed_scale_is_told(factor: float, said: str, length: float, tmp_path: Path) -> None:
    text = obj(small_car(), turn=lambda p: (p[0] * factor, p[1] * factor, p[2] * factor))
    (tmp_path / "car.obj").write_text(text)
    car = load(tmp_path / "car.obj")
    assert car.placement.size[0] == pytest.approx(length)
    assert any(said in line for line in car.remarks)


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
def test_the_paint_is_found(names: tuple[str, str], chosen: str, why: str, tmp_path: Path) -> None:
    (tmp_path / "car.obj").write_text(two_materials(*names))
    car = load(tmp_path / "car.obj")
    assert car.facts["paint_material"] == chosen
    assert why in car.remarks[0]


def test_tiled_trim_is_not_taken_for_the_paint(tmp_path: Path) -> None:
    """Though it fills all of the atlas, over and over: no texel of it is one place's own."""
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


def test_a_material_without_a_name_is_called_as_its_mesh(tmp_path: Path) -> None:
    corners = np.array([[-1, 0, 0.4], [1, 0, 0.4], [1, 0.5, -0.4]])
    (tmp_path / "car.glb").write_bytes(glb(corners, corners[:, :2], material=""))
    (part,) = meshfile.read(tmp_path / "car.glb")
    assert part.material == "shell"


def test_the_paint_can_be_given_and_the_error_lists_the_names(tmp_path: Path) -> None:
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
        ("bad.obj", "v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 9\n", r"bad\.obj: not a readable mesh"),
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
def test_a_mesh_that_cannot_be_used_is_one_clear_message(
    name: str, content: str | bytes | None, message: str, tmp_path: Path
) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(DataError, match=message) as refused:
        load(path)
    assert "\n" not in str(refused.value)


@pytest.mark.slow
def test_a_million_faces_work(tmp_path: Path) -> None:
    """Measured: 7 s to read, 3 s to look at the UVs, 3 s more a camera."""
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


QUICK = ("--size", 16, "--cameras", 2, "--samples", 4, "--supersample", 2)


def test_a_set_is_built_from_the_command_line(
    car_file: Path, livery_folder: Path, tmp_path: Path
) -> None:
    out = tmp_path / "set"
    done = call(out, "--car", car_file, "--liveries", livery_folder, *QUICK)
    assert done.exit_code == 0, done.output
    assert "4 views of 2 liveries from 2 cameras" in done.output
    assert "small.obj: 24 faces, 1 materials; the paint is on 'paint'" in done.output
    assert {record.livery for record in manifest.read(out).records} == {"red", "blue one"}
    report = json.loads((out / "car.json").read_text())
    assert report["uv"]["shared_percent_of_covered"] == 0
    assert 0 < report["uv"]["unseen_percent_of_covered"] < 100
    with Image.open(out / "shared_texels.png") as marks:
        assert (marks.mode, marks.size) == ("L", (16, 16))
    saved = (out / "showroom.yaml").read_text()
    assert report["sha256"] in saved
    assert str(tmp_path) not in saved, "a set says what it was made of, not where that lay"


def test_a_build_goes_on_and_refuses_another_car_or_other_liveries(
    car_file: Path, livery_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def wanted() -> ShowroomSettings:
        return ShowroomSettings(
            size=16, texture_size=16, cameras=2, samples=4, supersample=1,
            car=CarSettings(file=str(car_file)), livery_dir=str(livery_folder),
        )  # fmt: skip

    def files(folder: Path) -> dict[str, bytes]:
        paths = (path for path in folder.rglob("*") if path.is_file())
        return {str(path.relative_to(folder)): path.read_bytes() for path in paths}

    whole, traced = plates.trace, []

    def failing(*args: object) -> plates.Plate:
        traced.append(args)
        if len(traced) == 2:
            raise KeyboardInterrupt
        return whole(*args)  # type: ignore[arg-type]

    build(wanted(), tmp_path / "at once")
    monkeypatch.setattr(plates, "trace", failing)
    out = tmp_path / "set"
    with pytest.raises(KeyboardInterrupt):
        build(wanted(), out)
    build(wanted(), out)
    assert len(traced) == 3
    assert files(out) == files(tmp_path / "at once")

    moved = car_file.rename(car_file.with_name("moved.obj"))
    build(wanted().model_copy(update={"car": CarSettings(file=str(moved))}), out)
    moved.rename(car_file)

    car_file.write_text(obj(mirrored_flank()))
    with pytest.raises(DataError, match=r"other settings \(car\.sha256 "):
        build(wanted(), out)
    car_file.write_text(obj(small_car()))
    Image.new("RGB", (8, 8)).save(livery_folder / "third.png")
    with pytest.raises(DataError, match="liveries 2, not 3; livery_sha256 "):
        build(wanted(), out)


def test_a_hash_in_the_settings_is_kept_to(car_file: Path, livery_folder: Path) -> None:
    car = CarSettings(file=str(car_file), sha256="0" * 64)
    wanted = ShowroomSettings(car=car, livery_dir=str(livery_folder))
    with pytest.raises(DataError, match="the settings ask for 000"):
        build(wanted, car_file.with_name("set"))


def test_settings_of_the_built_in_car_are_written_as_before(tmp_path: Path) -> None:
    build(ShowroomSettings(size=16, texture_size=16, cameras=1, liveries=1, samples=1), tmp_path)
    keys = [line.split(":")[0] for line in (tmp_path / "showroom.yaml").read_text().splitlines()]
    assert " ".join(keys) == "size texture_size cameras liveries samples supersample seed"


def test_own_liveries_fit_the_built_in_car_too(livery_folder: Path, tmp_path: Path) -> None:
    done = call(tmp_path / "set", "--liveries", livery_folder, *QUICK)
    assert done.exit_code == 0, done.output
    assert not (tmp_path / "set" / "car.json").exists()


def test_large_and_transparent_liveries_are_brought_to_size(car_file: Path, tmp_path: Path) -> None:
    folder = tmp_path / "liveries"
    folder.mkdir()
    Image.new("RGBA", (4096, 4096), (255, 0, 0, 255)).save(folder / "large.png", compress_level=1)
    clear = Image.new("RGBA", (64, 32), (0, 0, 255, 0))
    clear.paste((0, 0, 255, 255), (0, 0, 32, 32))
    clear.save(folder / "clear.png")
    done = call(tmp_path / "set", "--car", car_file, "--liveries", folder, *QUICK)
    assert done.exit_code == 0, done.output
    assert "clear.png: alpha, 64 x 32, stretched to a square" in done.output
    with Image.open(tmp_path / "set" / "textures" / "clear.png") as texture:
        assert texture.getpixel((1, 8)) == (0, 0, 255)
        assert texture.getpixel((14, 8)) == (128, 128, 128)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--car", "gone.obj", "--liveries", "DIR"), "gone.obj: no such file"),
        (("--car", "CAR", "--liveries", "gone"), "gone: no such folder"),
        (("--liveries", "0"), "liveries: Input should be greater than or equal to 1, got 0"),
        (("--liveries", "-3"), "liveries: Input should be greater"),
        (("--paint-material", "x"), "--paint-material: only with --car FILE"),
        (("--cameras", "2", "--camera-file", "x.json"), "exclude each other"),
        (("--car", "CAR", "--liveries", "DIR", "--up", "z", "--nose", "z"), "when z is up"),
    ],
)
def test_flags_that_cannot_go_together_are_said_and_nothing_is_written(
    flags: tuple[str, ...], message: str, car_file: Path, livery_folder: Path, tmp_path: Path
) -> None:
    stand_ins = {"CAR": car_file, "DIR": livery_folder}
    done = call(tmp_path / "set", *(stand_ins.get(flag, flag) for flag in flags))
    assert done.exit_code in (1, 2)
    assert f"error: {message}" in done.output or message in done.output
    assert not (tmp_path / "set").exists()


def test_an_empty_folder_of_liveries_is_refused(tmp_path: Path) -> None:
    (tmp_path / ".hidden.png").write_bytes(b"")
    (tmp_path / "notes.txt").write_text("")
    with pytest.raises(DataError, match="holds no liveries"):
        livery_files.find(tmp_path)


@pytest.mark.parametrize("second", ["red.jpg", "Red.png"])
def test_two_liveries_of_one_name_are_refused(second: str, livery_folder: Path) -> None:
    Image.new("RGB", (8, 8)).save(livery_folder / second)
    with pytest.raises(DataError, match="two liveries of one name"):
        livery_files.find(livery_folder)


def test_broken_liveries_are_all_named_before_anything_is_built(
    car_file: Path, livery_folder: Path, tmp_path: Path
) -> None:
    good = (livery_folder / "red.png").read_bytes()
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).save(livery_folder / "cut.png")
    cut = (livery_folder / "cut.png").read_bytes()
    (livery_folder / "cut.png").write_bytes(cut[: len(cut) // 2])
    (livery_folder / "zero.png").write_bytes(b"")
    done = call(tmp_path / "set", "--car", car_file, "--liveries", livery_folder, *QUICK)
    assert done.exit_code == 1
    assert "cut.png: not a readable picture" in done.output
    assert "zero.png: not a readable picture: the file is empty" in done.output
    assert not (tmp_path / "set").exists()
    for name in ("cut", "zero"):
        (livery_folder / f"{name}.png").write_bytes(good)
    done = call(tmp_path / "set", "--car", car_file, "--liveries", livery_folder, *QUICK)
    assert done.exit_code == 0, done.output


def test_a_camera_file_places_the_cameras(
    car_file: Path, livery_folder: Path, tmp_path: Path
) -> None:
    stands = [
        {"name": "above", "eye": [0, 0, 6], "target": [0, 0, 0], "fov": 50},
        {"eye": [7, 0, 1], "target": [0, 0, 0.5], "fov": 30},
        {"eye": [7, 0, 1], "target": [20, 0, 0.5], "fov": 30},
    ]
    (tmp_path / "poses.json").write_text(json.dumps(stands))
    out, quick = tmp_path / "set", ("--size", 16, "--samples", 4)
    flags = ("--car", car_file, "--liveries", livery_folder, *quick)
    done = call(out, *flags, "--camera-file", tmp_path / "poses.json")
    assert done.exit_code == 0, done.output
    assert "6 views of 2 liveries from 3 cameras" in done.output
    assert "1 cameras see no paint at all" in done.output
    assert sorted(path.name for path in (out / "views").iterdir()) == ["above", "cam01", "cam02"]
    mask = np.asarray(Image.open(out / "masks" / "above.png")) > 127
    assert mask.any(1).sum() > 1.5 * mask.any(0).sum(), "from above, forward is up in the picture"
    refused = call(out, *flags, "--cameras", 3)
    assert "poses" in refused.output
    assert refused.exit_code == 1


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "cannot be read as JSON"),
        ("[" * 100_000, "cannot be read as JSON"),
        (f"[{'9' * 5000}]", "cannot be read as JSON"),
        ("{}", "must hold a list of poses"),
        ("[]", "poses: Tuple should have at least 1 item"),
        ('[{"eye": [1, 2, 3], "target": [0, 0, 0]}]', r"poses\.0\.fov: is required"),
        ('[{"eye": [1, 2], "target": [0, 0, 0], "fov": 30}]', r"poses\.0\.eye\.2"),
        ('[{"eye": [1, 2, 3], "target": [0, 0, 0], "fov": 180}]', "less than or equal to 150"),
        ('[{"eye": [NaN, 2, 3], "target": [0, 0, 0], "fov": 30}]', "finite"),
        ('[{"eye": [1, 2, 3], "target": [1, 2, 3], "fov": 30}]', "the same place"),
        ('[{"eye": [1, 2, 0], "target": [0, 0, 0], "fov": 30}]', "must be > 0"),
        ('[{"eye": [1, 2, 3], "target": [0, 0, 0], "fov": 30, "up": 1}]', "unknown key"),
        ('[{"name": "../x", "eye": [1, 2, 3], "target": [0, 0, 0], "fov": 30}]', "pattern"),
        (
            json.dumps(
                [{"name": n, "eye": [1, 2, 3], "target": [0, 0, 0], "fov": 30} for n in "aA"]
            ),
            "give it another",
        ),
    ],
)
def test_a_camera_file_that_cannot_be_is_one_clear_message(
    content: str, message: str, tmp_path: Path
) -> None:
    path = tmp_path / "poses.json"
    path.write_text(content)
    with pytest.raises(ConfigError, match=message) as refused:
        poses.read(path)
    assert str(path) in str(refused.value)


def test_poses_in_settings_are_checked_too(tmp_path: Path) -> None:
    twice = (Pose(eye=(1, 2, 3), target=(1, 2, 3), fov=30),)
    with pytest.raises(ConfigError, match="the same place"):
        build(ShowroomSettings(poses=twice), tmp_path / "set")


@pytest.mark.parametrize("name", ["trimesh", "xatlas"])
def test_a_missing_library_is_one_clear_line(
    name: str, car_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(UvtexError, match=rf"needs {name}.*pip install 'uvtex-sweep\[showroom\]'"):
        load(car_file, unwrap=True)


@needs_shared
@pytest.mark.parametrize(("name", "shared"), [("murasama", 9.9), ("lynx", 10.2)])
def test_real_cars_are_read_as_their_readme_says(name: str, shared: float) -> None:
    car = load(SHARED / name / f"{name}.obj")
    assert (car.facts["paint_material"], car.placement.up, car.placement.nose) == (
        "paint",
        "y",
        "x",
    )
    assert car.placement.scaled is None
    assert car.uvs.shared_percent == pytest.approx(shared, abs=0.3)
