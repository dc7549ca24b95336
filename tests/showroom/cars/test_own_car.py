"""Views and UV maps of an own car, and the audit of its UVs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from tests.showroom.made_car import SHARED, glb, load, mirrored_flank, needs_shared, obj, small_car
from uvtex.imaging.compose import compose, linear_from_srgb, srgb_from_linear
from uvtex.showroom.cars.car_json import texels_of
from uvtex.showroom.cars.mesh import Mesh
from uvtex.showroom.cars.mesh_files import mesh_file
from uvtex.showroom.cars.own_car import OwnCar
from uvtex.showroom.cars.placement import normalise_pose
from uvtex.showroom.cars.uv_audit import audit
from uvtex.showroom.rendering import plates
from uvtex.showroom.rendering.cameras import cameras

SIZE = 32


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    return float(-10 * np.log10(np.mean((a - b) ** 2)))


def noisy_texture(side: int) -> np.ndarray:
    """Coarse coloured squares [side, side, 3] in [0, 1]."""
    coarse = np.random.default_rng(3).random((8, 8, 3), dtype=np.float32)
    return np.kron(coarse, np.ones((side // 8, side // 8, 1), dtype=np.float32))


def psnr_to_path_tracer(car: OwnCar, texture: np.ndarray, camera: int) -> float:
    """PSNR inside the mask of a composed view against a direct path trace."""
    viewpoint = cameras(6, 0, car.subject)[camera]
    plate = plates.trace(viewpoint, SIZE, 100, 4, 0, car.subject)
    batch = torch.from_numpy(texture).permute(2, 0, 1)[None]
    view = compose(batch, *map(torch.from_numpy, (plate.uv, plate.falling, plate.reflected)))
    linear = linear_from_srgb(torch.from_numpy(texture)).numpy()
    traced = plates.render(viewpoint, SIZE, 225, 7, linear, car.subject)
    direct = srgb_from_linear(torch.from_numpy(traced)).numpy()
    mask = plate.mask > 0
    assert mask.mean() > 0.05
    return psnr(view[0].permute(1, 2, 0).numpy()[mask], direct[mask])


@pytest.mark.parametrize("camera", [0, 4])
def test_a_composed_view_of_a_small_car_equals_a_path_traced_one(
    car_file: Path, camera: int
) -> None:
    found = psnr_to_path_tracer(load(car_file), noisy_texture(64), camera)
    assert found >= 30, f"PSNR inside the mask is {found:.1f} dB"


@needs_shared
@pytest.mark.parametrize("name", ["murasama", "lynx"])
def test_a_composed_view_of_a_real_car_equals_a_path_traced_one(name: str) -> None:
    from uvtex.data.pictures import read_rgb

    car = load(SHARED / name / f"{name}.obj")
    livery = sorted((SHARED / name / "liveries").iterdir())[0]
    texture = read_rgb(livery, 128).astype(np.float32) / 255
    found = psnr_to_path_tracer(car, texture, 2)
    assert found >= 30, f"PSNR inside the mask is {found:.1f} dB"


@pytest.mark.parametrize("beyond", [0.0, 3.0], ids=["inside", "repeating"])
def test_the_uv_map_round_trips_a_checker(tmp_path: Path, beyond: float) -> None:
    """A checker that is painted, composed and read through the map is the same checker."""
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
    viewpoint = cameras(6, 0, car.subject)[0]
    plate = plates.trace(viewpoint, 48, 16, 1, 0, car.subject)
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


def test_good_uvs_are_kept_and_reported_as_good(car_file: Path) -> None:
    car = load(car_file)
    assert car.uvs.shared_percent == 0
    assert car.uvs.outside_percent == 0
    assert car.uvs.covered_percent == pytest.approx(81, abs=1)
    assert "the UVs are good" in car.remarks[-1]


def test_the_share_of_mirrored_texels_is_reported(tmp_path: Path) -> None:
    (tmp_path / "car.obj").write_text(obj(mirrored_flank()))
    car = load(tmp_path / "car.obj")
    assert car.uvs.shared_percent == pytest.approx(100 / 11, abs=0.2)
    assert "9.1 % of the texels in use are shared" in car.remarks[-1]
    picture = car.uvs.picture(64)
    assert picture[-10, 5] == 255, "the flank's place, at the left of the lower row"
    assert picture[:32].max() == 0


def test_both_faces_of_a_thin_sheet_may_share_texels() -> None:
    corners = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0]], dtype=float)
    position = np.concatenate([corners, corners + np.array([0, 0, 0.004])])
    uv = np.tile([[0.1, 0.1], [0.9, 0.1], [0.1, 0.9]], (2, 1))
    faces = np.array([[0, 1, 2], [5, 4, 3]])
    assert not audit(Mesh(position, position, uv, faces)).shared.any()
    position[3:] += (0, 0, 0.5)
    assert audit(Mesh(position, position, uv, faces)).shared_percent == 100


def test_faces_without_uv_area_are_reported(tmp_path: Path) -> None:
    faces = small_car()
    faces[0] = (faces[0][0], (0.6, 0.6, 0.6, 0.6))
    (tmp_path / "car.obj").write_text(obj(faces))
    car = load(tmp_path / "car.obj")
    assert car.uvs.collapsed_percent > 5
    assert any("UVs without area" in line for line in car.remarks)
    assert car.uvs.shared.any()


def test_uvs_outside_the_unit_square_are_reported_with_their_range(tmp_path: Path) -> None:
    faces = small_car()
    u0, v0, u1, v1 = faces[0][1] or (0, 0, 0, 0)
    faces[0] = (faces[0][0], (u0, v0 - 1, u1, v1 - 1))
    (tmp_path / "car.obj").write_text(obj(faces))
    car = load(tmp_path / "car.obj")
    assert car.uvs.outside_percent == pytest.approx(100 / 12)
    assert any("outside the unit square (u 0.01 to 0.99, v -0.97" in line for line in car.remarks)
    assert car.uvs.shared_percent == 0, "wrapped UVs must leave the flank in its place"


def test_uvs_are_unwrapped_only_when_asked(tmp_path: Path) -> None:
    (tmp_path / "car.obj").write_text(obj(mirrored_flank()))
    assert load(tmp_path / "car.obj").uvs.shared_percent > 0
    car, again = (load(tmp_path / "car.obj", unwrap=True) for _ in range(2))
    assert car.uvs.shared_percent == 0
    assert car.uvs.covered_percent > 30
    np.testing.assert_array_equal(car.parts[0].mesh.uv, again.parts[0].mesh.uv)


def test_a_glb_is_read_with_its_transforms_and_its_v_flipped(tmp_path: Path) -> None:
    position = np.array([[-1, 0, 0.4], [1, 0, 0.4], [1, 0.5, -0.4]])
    uv = np.array([[0.1, 0.2], [0.9, 0.2], [0.9, 0.7]])
    (tmp_path / "car.glb").write_bytes(glb(position, uv))
    (part,) = mesh_file.read(tmp_path / "car.glb")
    assert part.material == "paint"
    np.testing.assert_allclose(part.mesh.position[part.mesh.faces[0]], 2 * position, atol=1e-6)
    np.testing.assert_allclose(part.mesh.uv[part.mesh.faces[0]], uv * (1, -1) + (0, 1), atol=1e-6)
    assert normalise_pose(part.mesh.position, "auto", "auto", ".glb").up == "y"
