"""OBJ files as programs write them: each dialect gives the same car, or its line is named."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.showroom.made_car import load, obj, small_car
from tests.showroom.made_gltf import canonical, corners, expected
from uvtex.errors import DataError
from uvtex.showroom.cars.mesh_files import mesh_file
from uvtex.showroom.cars.mesh_files.mesh_file import Part
from uvtex.showroom.cars.mesh_files.triangulate import triangulate

SQUARE = "v 0 0 0\nv 1 0 0\nv 1 1 0\nv 0 1 0\nvt 0 0\nvt 1 0\nvt 1 1\nvt 0 1\n"


def soup_of(parts: list[Part]) -> np.ndarray:
    rows = [
        np.concatenate([part.mesh.position, part.mesh.uv], 1)[part.mesh.faces] for part in parts
    ]
    return canonical(np.concatenate(rows))


def read(text: str | bytes, folder: Path, name: str = "car.obj") -> list[Part]:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return mesh_file.read(path)


def area(part: Part) -> float:
    a, b, c = (part.mesh.position[part.mesh.faces[:, k]] for k in range(3))
    return float(np.linalg.norm(np.cross(b - a, c - a), axis=1).sum() / 2)


def test_relative_indices_count_back_from_their_face(tmp_path: Path) -> None:
    lines = []
    for quad, (u0, v0, u1, v1) in small_car():
        lines.extend("v {} {} {}".format(*point) for point in quad)
        lines.extend(f"vt {u} {v}" for u, v in ((u0, v0), (u1, v0), (u1, v1), (u0, v1)))
        lines.append("f -4/-4 -3/-3 -2/-2 -1/-1")
    (tmp_path / "car.obj").write_text("\n".join(lines))
    car = load(tmp_path / "car.obj")
    assert car.placement.size == pytest.approx((4.4, 1.8, 1.1))
    np.testing.assert_allclose(soup_of(mesh_file.read(tmp_path / "car.obj")), expected(corners(small_car())), atol=1e-5)  # fmt: skip  # noqa: E501


def test_a_concave_face_is_cut_inside_its_outline(tmp_path: Path) -> None:
    outline = [(0, 0), (4, 0), (4, 4), (2, 1), (0, 4)]
    for turn in (lambda x, y: (x, y, 0), lambda x, y: (x, 0, y), lambda x, y: (0, x, y)):
        text = "".join("v {} {} {}\n".format(*turn(x, y)) for x, y in outline)
        for order in ("1 2 3 4 5", "3 4 5 1 2", "5 4 3 2 1"):
            (part,) = read(f"{text}f {order}\n", tmp_path)
            assert area(part) == pytest.approx(10)
            assert len(part.mesh.faces) == 3


@given(
    st.lists(st.floats(0.2, 3), min_size=4, max_size=9),
    st.floats(0, 6),
    st.sampled_from([(0, 1, 2), (1, 2, 0), (2, 0, 1)]),
)
@settings(max_examples=60, deadline=None)
def test_a_face_of_any_outline_keeps_its_area_and_its_side(
    radii: list[float], turn: float, axes: tuple[int, int, int]
) -> None:
    count = len(radii)
    angle = turn + 2 * np.pi * np.arange(count) / count
    flat = np.stack([radii * np.cos(angle), radii * np.sin(angle), np.full(count, 5.0)], 1)
    triangles, owner = triangulate(flat[:, axes], np.array([count]))
    a, b, c = (flat[:, axes][triangles[:, k]] for k in range(3))
    normal = np.cross(b - a, c - a)[:, axes.index(2)] / 2
    right = sum(radii[k - 1] * radii[k] for k in range(count)) * np.sin(2 * np.pi / count) / 2
    assert (normal > -1e-9).all()
    assert normal.sum() == pytest.approx(right)
    assert owner.tolist() == [0] * (count - 2)


@pytest.mark.parametrize(
    "text",
    [
        SQUARE + "f 1/1 2/2 3/3 4/4",
        "f 1/1 2/2 3/3 4/4\n" + SQUARE,
        SQUARE + "vn 0 0 1\nf 1/1/1 2/2/1 3/3/1 4/4/1",
        SQUARE + "f 1/1/ 2/2 3/3/ 4/4 # body",
        SQUARE + "f 1/-4 -3/2 3/-2 -1/4",
        SQUARE + "f 1/1 2/2 \\\n  3/3 4/4",
        SQUARE + "l 1 2\np 3\nf 1/1 2/2 3/3 4/4\nf 1/1 2/2\nf 1/1 1/1 2/2\n",
        SQUARE.replace("v 0 0 0\n", "v\t0  0 0.0 1 \n  v 9 9 9\n").replace(
            "v 1 0 0", "v +1e0 0 0 0.5 0.5 0.5"
        )
        + "f 1/1 3/2 4/3 5/4",
        SQUARE.replace("vt 1 0", "vt 1").replace("vt 1 1", "vt 1 1 0") + "f 1/1 2/2 3/3 4/4",
        "\ufeffg a\no b\ns off\n" + SQUARE + "f 1/1 2/2 3/3 4/4",
    ],
)
def test_the_same_square_in_every_way_to_write_it(text: str, tmp_path: Path) -> None:
    (part,) = read(text, tmp_path)
    right = soup_of(read(SQUARE + "f 1/1 2/2 3/3\nf 1/1 3/3 4/4", tmp_path))
    np.testing.assert_allclose(soup_of([part]), right, atol=1e-9)
    assert part.has_uv


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "latin-1"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_any_encoding_and_line_end_gives_the_names_of_the_materials(
    encoding: str, end: str, tmp_path: Path
) -> None:
    library = "newmtl Käfer Lack\nKd 1 0 0\nnewmtl glass\nKd 0 0 1\n"
    (tmp_path / "my car.mtl").write_bytes(library.replace("\n", end).encode(encoding))
    text = f"mtllib my car.mtl\n{SQUARE}usemtl Käfer Lack\nf 1 2 3\nusemtl glass # clear\nf 1 3 4\n"
    parts = read(text.replace("\n", end).encode(encoding), tmp_path)
    assert [part.material for part in parts] == ["Käfer Lack", "glass"]
    assert parts[0].colour[:2] == (0.8, 0.0)
    assert parts[1].glass


@pytest.mark.parametrize(
    "statement", ["b.mtl a.mtl", r"C:\Users\me\a.mtl", r".\a.mtl", '"A.MTL"', "gone.mtl a.mtl"]
)
def test_the_material_library_is_found_as_people_name_it(statement: str, tmp_path: Path) -> None:
    (tmp_path / "a.mtl").write_text("newmtl red\nKd 1 0 0\n")
    (tmp_path / "b.mtl").write_text("newmtl blue\nKd 0 0 1\n")
    (part,) = read(f"mtllib {statement}\n{SQUARE}usemtl red\nf 1 2 3", tmp_path)
    assert part.colour == (0.8, 0.0, 0.0)


def test_faces_before_the_first_material_and_odd_names_keep_apart(tmp_path: Path) -> None:
    text = f"{SQUARE}f 1 2 3\nusemtl Material #25\nf 1 2 3\nusemtl\nf 1 2 4\nusemtl None\nf 1 2 3"
    sizes = {part.material: len(part.mesh.faces) for part in read(text, tmp_path)}
    assert sizes == {"Material #25": 1, "None": 1, "material_0": 2}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (SQUARE + "f 1 2 0", "line 9: the face refers to vertex 0, but OBJ files count from 1"),
        (SQUARE + "f 1 2 5", "line 9: the face refers to vertex 5, but the file has 4"),
        (SQUARE + "f 1/1 2/9 3/3", "line 9: .* texture coordinate 9, but the file has 4"),
        (SQUARE + "f 1//1 2//1 3//1", "line 9: .* normal 1, but the file has 0"),
        ("f -1 -2 -3\n" + SQUARE, "line 1: .* vertex -1, but 0 stand before it"),
        (SQUARE + "f 1 2 x", "line 9: 'x' is not a corner of a face"),
        (SQUARE + "\n\nf 1 2 3/1.5", "line 11: '3/1.5' is not a corner"),
        (SQUARE + f"f 1 2 {'9' * 40}", "line 9: '99.*' is not a corner"),
        ("v 0,5 1,5 2,0\n" + SQUARE + "f 1 2 3", "line 1: '0,5' has a decimal comma.*English"),
        (SQUARE + "vt 0,5 1\nf 1 2 3", "line 9: '0,5' has a decimal comma"),
        ("v 1 2\n" + SQUARE + "f 1 2 3", "line 1: the vertex has 2 numbers, and needs 3"),
        ("vt\n" + SQUARE + "f 1 2 3", "line 1: the texture coordinate has 0 numbers"),
        ("v 1 2 z\n" + SQUARE + "f 1 2 3", "line 1: 'z' is not a number"),
        ("v 1_0 2 3\n" + SQUARE + "f 1 2 3", "line 1: '1_0' is not a number"),
        ("# C:\\\nv nan 0 0\nv 0 1 0\nv 1 0 0\nv 0 0 1\nf 2 3 4\nf 1 2 3", "line 2: .*NaN"),
        ("v 1.#QNAN 0 0\n" + SQUARE + "f 1 2 3", "line 1: .*NaN or infinite"),
        (SQUARE + "l 1 2\np 1", "holds no faces, only 1 lines, 1 points"),
        (SQUARE + "surf 0 1 0 1 1 2", "holds no faces, only 1 surfaces; .* as polygons"),
        ("<html>\n", "line 1 .'<html>'. is no OBJ"),
        ("call other.obj\n", "line 1: 'call' includes another file"),
        (b"\x93NUMPY\x00\x01\x02\x00" * 9, "holds binary data"),
        (b"", "holds no faces"),
    ],
)
def test_what_cannot_be_read_of_an_obj_file_is_named_with_its_line(
    text: str | bytes, message: str, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match=rf"car\.obj: .*({message})") as refused:
        read(text, tmp_path)
    assert "\n" not in str(refused.value)


def test_a_uv_that_is_nan_is_named_with_its_line(tmp_path: Path) -> None:
    text = obj(small_car()).replace("vt 0.325 ", "vt nan ", 1)
    line = 1 + [line[:6] for line in text.split("\n")].index("vt nan")
    (tmp_path / "car.obj").write_text(text)
    with pytest.raises(DataError, match=rf"car\.obj: line {line}: .* have a UV that is NaN"):
        load(tmp_path / "car.obj")


dialects = st.fixed_dictionaries(
    {
        "indices": st.lists(st.booleans(), min_size=7, max_size=7),
        "form": st.sampled_from(["{v}/{t}", "{v}/{t}/{n}", "mixed"]),
        "order": st.sampled_from(["blocks", "in turn", "faces first"]),
        "triangles": st.booleans(),
        "number": st.sampled_from(["{:g}", "{:.6f}", "{:+.7e}"]),
        "more": st.sampled_from(["", " 1.0", " 0.2 0.4 0.6", " # note"]),
        "end": st.sampled_from(["\n", "\r\n", "\r", " \n", "\n\n", "\n# note\n"]),
        "encoding": st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
        "materials": st.sampled_from([["paint"], ["paint", "rote Tür", "x"]]),
        "gap": st.sampled_from([" ", "  ", "\t", " \\\n "]),
    }
)


def written(dialect: dict[str, Any]) -> str:
    """The small car in ``dialect``. A face's material is that of its number."""
    negative, gap = dialect["indices"], dialect["gap"]
    quads, blocks, faces = small_car(), [], []
    total = 4 * len(quads)
    for n, (quad, (a, b, c, d)) in enumerate(quads):
        number = dialect["number"].format
        lines = [gap.join(["v", *map(number, point)]) + dialect["more"] for point in quad]
        lines += [gap.join(["vt", *map(number, p)]) for p in ((a, b), (c, b), (c, d), (a, d))]
        lines += [gap.join(["vn", "0", "0", number(1)])] * 4
        blocks.append(lines)
        words = []
        before = {"blocks": total, "in turn": 4 * n + 4, "faces first": 0}[dialect["order"]]
        for k in range(4):
            index = 4 * n + k + 1
            back = negative[(n + k) % 7] and before
            v = index - 1 - before if back else index
            form = dialect["form"]
            form = ("{v}/{t}", "{v}/{t}/{n}")[k % 2] if form == "mixed" else form
            words.append(form.format(v=v, t=index, n=v))
        corners = [(0, 1, 2), (0, 2, 3)] if dialect["triangles"] else [(0, 1, 2, 3)]
        material = dialect["materials"][n % len(dialect["materials"])]
        faces.append(
            [f"usemtl {material}", *(gap.join(["f", *(words[k] for k in c)]) for c in corners)]
        )
    groups = {
        "blocks": [*blocks, *faces],
        "in turn": [line for pair in zip(blocks, faces, strict=True) for line in pair],
        "faces first": [*faces, *blocks],
    }[dialect["order"]]
    end = dialect["end"]
    lines = (
        line.replace("\n", "\r" if end == "\r" else "\n") for group in groups for line in group
    )
    return end.join(lines)


@given(dialects)
@settings(max_examples=80, deadline=None)
def test_a_car_is_the_same_in_every_dialect(dialect: dict[str, Any]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        parts = read(written(dialect).encode(dialect["encoding"]), Path(folder))
    np.testing.assert_allclose(soup_of(parts), expected(corners(small_car())), atol=2e-5)
    assert {part.material for part in parts} == set(dialect["materials"])
    names = dialect["materials"]
    for part in parts:
        share = [n for n in range(12) if names[n % len(names)] == part.material]
        assert len(part.mesh.faces) == 2 * len(share)


@given(dialects, st.data())
@settings(max_examples=100, deadline=None)
def test_a_broken_obj_file_is_refused_or_read_but_never_a_traceback(
    dialect: dict[str, Any], data: st.DataObject
) -> None:
    text = written(dialect)
    begin = data.draw(st.integers(0, len(text)))
    count = data.draw(st.integers(0, 40))
    put = data.draw(
        st.sampled_from(
            ["", "\0", "/", "-", "9" * 30, "\xa0", "\u2028", "nan", "\\", "é", "f", "v "]
        )
    )
    broken = (text[:begin] + put + text[begin + count :]).encode(dialect["encoding"])
    refused = None
    with tempfile.TemporaryDirectory() as folder:
        try:
            assert read(broken, Path(folder))
        except DataError as error:
            refused = str(error)
        assert refused is None or refused.startswith(f"{folder}/car.obj: ")
