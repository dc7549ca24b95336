"""Procedural liveries on a car that is not the built-in one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tests.showroom.made_car import mirrored_flank, obj, small_car
from uvtex.cli import main
from uvtex.errors import DataError
from uvtex.showroom.cars.built_in import car, texels
from uvtex.showroom.cars.mesh import Mesh
from uvtex.showroom.cars.mesh_files import mesh_file
from uvtex.showroom.cars.own_texel_map import NOWHERE, own_texels
from uvtex.showroom.cars.texel_map import PANELS
from uvtex.showroom.liveries.procedural import paint, samples

SIDE = 192


def panel(name: str) -> int:
    return list(PANELS).index(name)


def painted(tmp_path: Path, text: str) -> Mesh:
    """The mesh of an OBJ that is in the showroom's axes already."""
    (tmp_path / "car.obj").write_text(text)
    return mesh_file.read(tmp_path / "car.obj")[0].mesh


def test_the_built_in_car_read_from_its_mesh_has_the_same_texel_map() -> None:
    known, found = texels(SIDE), own_texels(car().paint, SIDE)
    np.testing.assert_array_equal(found.covered, known.covered)
    inside = known.covered
    np.testing.assert_allclose(found.position[inside], known.position[inside], atol=0.01)
    for name in ("left", "right", "top", "wing", "front", "rear"):
        there = inside & (known.panel == panel(name))
        assert (found.panel == panel(name))[there].mean() > 0.9, name


@given(
    st.tuples(*[st.floats(0.5, 2.0)] * 3),
    st.tuples(*[st.floats(-50, 50)] * 3),
    st.booleans(),
)
@settings(max_examples=10, deadline=None)
def test_liveries_do_not_depend_on_the_cars_size_or_winding(
    stretch: tuple[float, ...], shift: tuple[float, ...], inside_out: bool
) -> None:
    mesh = car().paint
    normal = mesh.normal / stretch
    normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-12)
    moved = replace(
        mesh,
        position=mesh.position * stretch + shift,
        normal=-normal if inside_out else normal,
        faces=mesh.faces[:, ::-1] if inside_out else mesh.faces,
    )
    known, found = own_texels(mesh, 64), own_texels(moved, 64)
    np.testing.assert_allclose(found.position, known.position, atol=1e-6)
    assert (found.panel == known.panel).mean() > 0.999


def test_each_face_of_a_box_is_on_the_panel_of_its_direction(tmp_path: Path) -> None:
    surface = own_texels(painted(tmp_path, obj(small_car())), SIDE)
    # The body's six faces are in the lower row of the atlas, from left to right.
    row = surface.panel[SIDE * 3 // 4, (np.arange(6) * 2 + 1) * SIDE // 12]
    towards = ["right", "left", "front", "rear", "top"]
    assert row[:5].tolist() == [panel(name) for name in towards]
    assert row[5] == NOWHERE, "the underside"


def test_mirrored_parts_are_painted_as_the_left_side(tmp_path: Path) -> None:
    for faces in (mirrored_flank(), mirrored_flank()[1::-1] + mirrored_flank()[2:]):
        surface = own_texels(painted(tmp_path, obj(faces)), SIDE)
        assert surface.position[SIDE * 3 // 4, SIDE // 12, 1] > 0.5
        assert surface.panel[SIDE * 3 // 4, SIDE // 12] == panel("left")


def test_a_texture_that_repeats_is_painted_in_the_unit_square(tmp_path: Path) -> None:
    mesh = painted(tmp_path, obj(small_car()))
    shifted = replace(mesh, uv=mesh.uv + np.array([3.0, -2.0]))
    known, found = own_texels(mesh, 64), own_texels(shifted, 64)
    np.testing.assert_allclose(found.position, known.position, atol=1e-5)


def test_uvs_too_small_for_any_texel_are_a_clear_error(tmp_path: Path) -> None:
    mesh = painted(tmp_path, obj(small_car()))
    with pytest.raises(DataError, match=r"no texel of a 32 x 32 grid.*--unwrap"):
        own_texels(replace(mesh, uv=0.505 + 1e-4 * mesh.uv), 32)


def test_no_two_liveries_of_a_car_are_alike(tmp_path: Path) -> None:
    surface = own_texels(painted(tmp_path, obj(small_car())), samples(32))
    liveries = np.stack([paint(seed, 32, surface) for seed in range(12)]).astype(int)
    gaps = np.abs(liveries[:, None] - liveries[None]).mean((2, 3, 4)) + 255 * np.eye(12)
    assert gaps.min() > 8
    np.testing.assert_array_equal(paint(3, 32, surface), liveries[3])


QUICK = ("--size", "16", "--cameras", "2", "--samples", "4", "--supersample", "2")


def test_procedural_and_real_liveries_of_a_car_have_the_same_plates(tmp_path: Path) -> None:
    (tmp_path / "car.obj").write_text(obj(small_car()))
    (tmp_path / "mine").mkdir()
    Image.new("RGB", (32, 32), (200, 30, 30)).save(tmp_path / "mine" / "red.png")
    for out, liveries in (("many", "3"), ("real", str(tmp_path / "mine"))):
        command = ["showroom", "build", str(tmp_path / out), "--car", str(tmp_path / "car.obj")]
        done = CliRunner().invoke(main, [*command, "--liveries", liveries, *QUICK])
        assert done.exit_code == 0, done.output
    textures = {path.read_bytes() for path in (tmp_path / "many" / "textures").iterdir()}
    assert len(textures) == 3
    for folder in ("plates", "masks", "uv_maps"):
        names = sorted(path.name for path in (tmp_path / "many" / folder).iterdir())
        assert len(names) == 2
        for name in names:
            many, real = (tmp_path / out / folder / name for out in ("many", "real"))
            assert many.read_bytes() == real.read_bytes()
