"""A mesh that cannot be a car, or whose UVs cannot show a livery, is not built."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.showroom.made_car import SHARED, Faces, block, load, needs_shared, obj, small_car
from uvtex.cli import main
from uvtex.errors import DataError
from uvtex.showroom.cars import plausible

Point = tuple[float, float, float]
Box = tuple[float, float, float, float]


def with_uv(change: Callable[[Box], Box]) -> Faces:
    return [(quad, None if box is None else change(box)) for quad, box in small_car()]


def with_floor(side: float) -> Faces:
    """The small car on a large plane."""
    return small_car() + block((-side, -side, 0), (side, side, 0.001), 1, 2)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (obj(small_car(), turn=lambda p: (p[0], p[1], 0.0)), "0.00 m high|its height is 0.0 %"),
        (obj(small_car(), turn=lambda p: (p[0], p[1], p[2] / 20)), "height is 1.2 % of its length"),
        (obj(small_car(), turn=lambda p: (p[0], p[1] + p[0], p[0])), "lie in one plane"),
        (obj(small_car(), turn=lambda p: (p[0], 0.0, 0.0)), "lie in one plane"),
        (obj(small_car()[:1]), "it has 2 faces with area"),
        (obj(small_car(), turn=lambda p: (p[0], p[1] / 20, p[2])), "height is 2.0 % of its length"),
        (obj(with_floor(50.0)), "in one plane.*taken for inches.*delete what is not"),
        (obj(small_car()) + "v 0 0 90\nf 1 2 -1\n", "width is 4.9 % of its length"),
    ],
    ids=["flat", "low", "plane", "line", "two faces", "narrow", "floor", "stray vertex"],
)
def test_a_mesh_without_the_shape_of_a_car_is_refused_with_its_measures(
    text: str, message: str, tmp_path: Path
) -> None:
    (tmp_path / "car.obj").write_text(text.replace("f 1 2 -1", "f 1/1 2/2 -1/3"))
    with pytest.raises(DataError, match=rf"car\.obj: .*({message})") as refused:
        load(tmp_path / "car.obj")
    assert "--up and --nose" in str(refused.value)
    assert "m long" in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("axes", [{"up": "z", "nose": "y"}, {"up": "y", "nose": "z"}])
def test_axes_that_make_a_car_wider_or_higher_than_long_are_refused(
    axes: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "car.obj").write_text(obj(small_car()))
    with pytest.raises(DataError, match=r"this cannot be a car: .*--up and --nose"):
        load(tmp_path / "car.obj", **axes)


@pytest.mark.parametrize(
    ("faces", "message"),
    [
        (with_uv(lambda b: (0.5, 0.5, 0.5, 0.5)), "all of them lie on one line"),
        (with_uv(lambda b: (b[0], 0.5, b[2], 0.5)), "all of them lie on one line"),
        (with_uv(lambda b: (b[0], b[1], b[0], b[1])), "100.0 % of the surface shows a single"),
        (with_uv(lambda b: tuple(v * 65535 for v in b)), "further than 100 textures"),
        (with_uv(lambda b: tuple(v + 5000 for v in b)), "further than 100 textures.*u 5000"),
        (with_uv(lambda b: tuple(v * 90 for v in b)), "repeat the texture more than 8 times"),
        (with_uv(lambda b: tuple(v / 255 for v in b)), "they use 0.00. % of the texture"),
    ],
)
def test_uvs_that_cannot_show_a_livery_are_refused_and_never_called_good(
    faces: Faces, message: str, tmp_path: Path
) -> None:
    (tmp_path / "car.obj").write_text(obj(faces))
    with pytest.raises(DataError, match=rf"car\.obj: .*{message}.*--unwrap") as refused:
        load(tmp_path / "car.obj")
    assert "'paint'" in str(refused.value)


def test_a_paint_of_hardly_any_area_is_refused(tmp_path: Path) -> None:
    badge = obj(block((2.2, 0, 0.3), (2.21, 0.1, 0.4), 0, 1), "paint")
    count = 4 * len(small_car())
    moved = "\n".join(
        "f " + " ".join(f"{count + int(c.split('/')[0])}/{count + int(c.split('/')[1])}" for c in line.split()[1:])  # noqa: E501
        if line.startswith("f ") else line
        for line in badge.split("\n")
    )  # fmt: skip
    (tmp_path / "car.obj").write_text(obj(small_car(), "body") + moved)
    with pytest.raises(DataError, match=r"'paint' has 0\.02. square metres.*--paint-material"):
        load(tmp_path / "car.obj", paint_material="paint")
    assert load(tmp_path / "car.obj", paint_material="body").facts["paint_material"] == "body"


def test_the_command_ends_with_1_and_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "car.obj").write_text(obj(small_car(), turn=lambda p: (p[0], p[1], 0.0)))
    arguments = ["showroom", "build", str(tmp_path / "set"), "--car", str(tmp_path / "car.obj")]
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 1
    assert "this cannot be a car" in done.output
    assert "UVs are good" not in done.output
    assert not (tmp_path / "set").exists()


@pytest.mark.parametrize("size", [(1.9, 1.4, 0.6), (5.6, 2.0, 0.95), (7.9, 2.5, 3.6), (2.7, 1.5, 1.55), (3.1, 1.7, 0.9)])  # fmt: skip  # noqa: E501
@pytest.mark.parametrize("unit", [1.0, 1000.0])
def test_karts_formula_cars_lorries_and_microcars_are_cars_in_any_unit(
    size: Point, unit: float, tmp_path: Path
) -> None:
    scale = [unit * wanted / made for wanted, made in zip(size, (4.4, 1.8, 1.1), strict=True)]
    text = obj(small_car(), turn=lambda p: (p[0] * scale[0], p[1] * scale[1], p[2] * scale[2]))
    (tmp_path / "car.obj").write_text(text)
    placed = load(tmp_path / "car.obj", up="z", nose="x").placement.size
    assert placed[1] / placed[0] == pytest.approx(size[1] / size[0])


sides = st.floats(-4, 4).map(lambda power: math.exp(power))


@given(st.tuples(sides, sides, sides))
@settings(max_examples=12, deadline=None)
def test_what_is_built_has_the_proportions_of_a_car(scale: Point) -> None:
    text = obj(small_car(), turn=lambda p: (p[0] * scale[0], p[1] * scale[1], p[2] * scale[2]))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "car.obj"
        path.write_text(text)
        try:
            length, width, height = load(path, up="z").placement.size
        except DataError as error:
            refused = str(error)
        else:
            refused = ""
            assert 2 <= length <= 8
            assert plausible.WIDTH[0] <= width / length <= plausible.WIDTH[1]
            assert plausible.HEIGHT[0] <= height / length <= plausible.HEIGHT[1]
    assert not refused or "this cannot be a car" in refused


@needs_shared
@pytest.mark.parametrize("name", ["murasama", "lynx"])
def test_real_cars_are_cars(name: str) -> None:
    assert load(SHARED / name / f"{name}.obj").uvs.covered_percent > 10
