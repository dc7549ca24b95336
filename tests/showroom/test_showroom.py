"""The showroom's pictures: composition against path tracing, the atlas, the liveries."""

from __future__ import annotations

import itertools
import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from uvtex.errors import UvtexError
from uvtex.imaging.compose import compose, linear_from_srgb, sample, srgb_from_linear
from uvtex.showroom.cars.built_in import car, coverage
from uvtex.showroom.cars.texel_map import PANELS, rasterise
from uvtex.showroom.liveries.procedural import paint
from uvtex.showroom.rendering import plates
from uvtex.showroom.rendering.cameras import cameras

SIZE = 32


@pytest.fixture(scope="module")
def plate() -> plates.Plate:
    return plates.trace(cameras(12, 0)[11], SIZE, 100, 4, 0)


def composed_view(plate: plates.Plate, texture: np.ndarray) -> np.ndarray:
    """The composed view [h, w, 3] in sRGB of a uint8 ``texture`` [s, s, 3]."""
    batch = torch.from_numpy(texture).permute(2, 0, 1)[None].float() / 255
    light = map(torch.from_numpy, (plate.uv, plate.falling, plate.reflected))
    return compose(batch, *light)[0].permute(1, 2, 0).numpy()


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    return float(-10 * np.log10(np.mean((a - b) ** 2)))


def test_a_composed_view_equals_a_path_traced_one(plate: plates.Plate) -> None:
    texture = paint(5, 64)
    linear = linear_from_srgb(torch.from_numpy(texture).float() / 255).numpy()
    camera = cameras(12, 0)[11]
    traced = plates.render(camera, SIZE, 225, 7, linear)
    direct = srgb_from_linear(torch.from_numpy(traced)).numpy()
    view, mask = composed_view(plate, texture), plate.mask > 0
    inside = psnr(view[mask], direct[mask])
    assert inside >= 30, f"PSNR inside the mask is {inside:.1f} dB"
    everywhere = psnr(view, direct)
    assert everywhere >= 28, f"PSNR of the whole picture is {everywhere:.1f} dB"


def test_light_is_linear_in_the_paint(plate: plates.Plate) -> None:
    """Black and grey paint thus determine all colours, except for light between panels."""
    half = plates.render(cameras(12, 0)[11], SIZE, 100, 0, 0.25)
    mask = plate.mask == 255
    expected = (plate.reflected + 0.25 * plate.falling)[mask]
    assert np.abs(half[mask] - expected).mean() < 0.02 * expected.mean()


def test_a_plate_is_the_same_at_every_call(plate: plates.Plate) -> None:
    camera = cameras(3, 0)[1]
    first, second = (plates.trace(camera, 16, 4, 2, 3) for _ in range(2))
    for name in ("uv", "mask", "falling", "reflected"):
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name))


def test_mask_and_uv_map_agree_and_no_light_falls_off_the_mask(plate: plates.Plate) -> None:
    painted = ~np.isnan(plate.uv[..., 0])
    share = painted.reshape(SIZE, 4, SIZE, 4).mean((1, 3))
    np.testing.assert_allclose(plate.mask / 255, share, atol=0.002)
    assert plate.uv[painted].min() >= 0
    assert plate.uv[painted].max() <= 1
    assert not plate.falling[plate.mask == 0].any()
    assert 0.2 < (plate.mask > 0).mean() < 0.8


def test_sampling_a_coordinate_texture_gives_the_uv_map_back(plate: plates.Plate) -> None:
    """A texture whose colour is its own coordinate comes back as the UV map."""
    side = 256
    centre = (np.arange(side) + 0.5) / side
    u, v = np.meshgrid(centre, centre[::-1])
    ramp = torch.from_numpy(np.stack([u, v])[None]).float()
    grid = plate.uv.shape[0]
    read = sample(ramp, torch.from_numpy(plate.uv), (grid, grid))[0].permute(1, 2, 0).numpy()
    painted = ~np.isnan(plate.uv[..., 0])
    np.testing.assert_allclose(read[painted], plate.uv[painted], atol=1 / side / 100)


def test_uv_map_names_texels_that_the_car_covers(plate: plates.Plate) -> None:
    seen = plate.uv[~np.isnan(plate.uv[..., 0])]
    covered = coverage(512)
    row, column = ((1 - seen[:, 1]) * 512).astype(int), (seen[:, 0] * 512).astype(int)
    assert covered[row.clip(0, 511), column.clip(0, 511)].mean() > 0.99


def test_sampling_averages_painted_sub_pixels_only() -> None:
    texture = torch.tensor([[[[0.2, 0.8], [0.2, 0.8]]]])
    uv = torch.full((2, 2, 2), torch.nan)
    uv[0, 0] = torch.tensor([0.25, 0.5])
    assert sample(texture, uv, (1, 1)).item() == pytest.approx(0.2)
    uv[1, 1] = torch.tensor([0.75, 0.5])
    assert sample(texture, uv, (1, 1)).item() == pytest.approx(0.5)


def test_sampling_refuses_a_map_whose_size_is_not_a_multiple() -> None:
    with pytest.raises(ValueError, match="multiple"):
        sample(torch.zeros(1, 3, 4, 4), torch.zeros(5, 6, 2), (2, 2))


@given(st.floats(0, 1))
@settings(max_examples=50, deadline=None)
def test_srgb_conversion_is_undone_by_its_inverse(value: float) -> None:
    encoded = torch.tensor([value], dtype=torch.float64)
    back = srgb_from_linear(linear_from_srgb(encoded))
    assert back.item() == pytest.approx(value, abs=1e-6)


def test_no_texel_of_the_atlas_belongs_to_two_places() -> None:
    """Neighbouring faces share the texels on their common edge, with the same position."""
    mesh, size = car().paint, 512
    texel, face, weights = rasterise(mesh.uv[mesh.faces], size)
    place = np.einsum("nk,nkc->nc", weights, mesh.position[mesh.faces[face]])
    order = np.argsort(texel, kind="stable")
    texel, place = texel[order], place[order]
    twice = texel[1:] == texel[:-1]
    assert np.abs(place[1:] - place[:-1])[twice].max(initial=0) < 1e-6


def test_the_atlas_is_well_used_and_inside_its_panels() -> None:
    assert coverage(256).mean() > 0.6
    uv = car().paint.uv
    boxes = np.array(list(PANELS.values()))
    inside = ((uv[:, None] >= boxes[:, :2] - 1e-9) & (uv[:, None] <= boxes[:, 2:] + 1e-9)).all(2)
    assert (inside.sum(1) == 1).all()
    for a, b in itertools.combinations(boxes, 2):
        gap = np.maximum(a[:2] - b[2:], b[:2] - a[2:]).max()
        assert gap > 0.013, "two panels have less than a gutter between them"


def test_meshes_are_sound() -> None:
    for name, mesh in car().meshes().items():
        assert np.isfinite(mesh.position).all(), name
        assert np.isfinite(mesh.normal).all(), name
        assert mesh.position[:, 2].min() > -1e-6, f"{name} reaches below the floor"
        assert mesh.faces.max() < len(mesh.position), name


def test_the_car_is_symmetric() -> None:
    positions = car().paint.position
    for axis in (0, 2):
        left, right = positions[positions[:, 1] > 0], positions[positions[:, 1] < 0]
        assert left[:, axis].max() == pytest.approx(right[:, axis].max(), abs=1e-3)


def test_no_two_liveries_are_alike() -> None:
    covered = coverage(32)
    liveries = np.stack([paint(seed, 32)[covered] for seed in range(40)]).astype(int)
    for a, b in itertools.combinations(range(len(liveries)), 2):
        assert np.abs(liveries[a] - liveries[b]).mean() > 8, f"liveries {a} and {b}"


def test_a_livery_is_the_same_at_every_call_and_similar_at_every_size() -> None:
    np.testing.assert_array_equal(paint(3, 32), paint(3, 32))
    small, large = paint(3, 64) / 255.0, paint(3, 128) / 255.0
    halved = large.reshape(64, 2, 64, 2, 3).mean((1, 3))
    assert np.abs(small - halved)[coverage(64)].mean() < 0.03


def test_gutters_repeat_the_nearest_paint() -> None:
    """Sampling at the border of a panel then finds no foreign colour."""
    livery, covered = paint(2, 64).reshape(-1, 3), coverage(64).ravel()
    painted = {tuple(colour // 16) for colour in livery[covered]}
    bled = {tuple(colour // 16) for colour in livery[~covered]}
    assert len(bled - painted) <= 0.25 * len(bled)


def test_cameras_are_all_around_the_car_and_depend_on_the_seed() -> None:
    viewpoints = cameras(12, 4)
    assert viewpoints == cameras(12, 4)
    assert viewpoints != cameras(12, 5)
    azimuths = np.sort([np.arctan2(c.origin[1], c.origin[0]) for c in viewpoints])
    assert np.diff(azimuths).max() < np.radians(60)
    assert len({camera.name for camera in viewpoints}) == 12


def test_a_missing_path_tracer_is_a_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mitsuba", None)
    with pytest.raises(UvtexError, match=r"pip install 'uvtex-sweep\[showroom\]'"):
        plates.tracer()
