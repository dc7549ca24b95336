"""Photos cut anew as their cameras would show them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from tests.imaging import made_car
from tests.imaging.made_car import SIDE
from uvtex.imaging.compose import srgb_from_linear
from uvtex.imaging.full_size import ViewGeometry
from uvtex.imaging.placing import AS_IT_LIES, MARGIN, UNKNOWN
from uvtex.inference.photos import Photo, cut, prepare
from uvtex.inference.placement import (
    exposed,
    not_placed,
    placed,
    placement_record,
    straightened,
)
from uvtex.models import Predictor

pytestmark = pytest.mark.usefixtures("in_tmp_path")
SIZE = 32


class OneCamera(Predictor):
    """A predictor of one camera, for which every view is that camera's."""

    def __init__(self, geometry: ViewGeometry) -> None:
        super().__init__()
        self.place = torch.nn.Parameter(torch.zeros(1))
        self._geometry = geometry

    @property
    def knows_geometry(self) -> bool:
        return True

    def geometry(self, views: Tensor) -> list[ViewGeometry]:
        return [self._geometry] * len(views)


@pytest.fixture(scope="module")
def camera() -> ViewGeometry:
    return made_car.camera()


def _saved(picture: np.ndarray) -> Photo:
    """The photo whose middle, of the view's side, shows the view."""
    Image.fromarray(picture).save("p.png")
    rim = len(picture) * (1 - 1 / MARGIN) / 2
    photo = prepare(Path("p.png"), SIZE, None, whole=True)
    square = replace(photo.square, left=rim, top=rim, right=len(picture) - rim)
    return replace(photo, square=replace(square, bottom=len(picture) - rim))


def test_a_moved_photo_is_cut_where_its_camera_would_show_it(camera: ViewGeometry) -> None:
    photo = _saved(made_car.photo(np.random.default_rng(0), 3, -2, 1.03))
    made = placed(OneCamera(camera), photo)
    assert made.square.side == pytest.approx(1.03 * photo.square.side, abs=0.2)
    moves = np.subtract(made.square.middle, photo.square.middle)
    assert moves == pytest.approx([3, -2], abs=0.2)
    record = placement_record(made)
    assert record is not None
    assert record["known"]
    assert record["right"] == pytest.approx(3 / SIDE, abs=0.002)
    assert made.view.shape == photo.view.shape
    assert not np.array_equal(made.view, photo.view)
    assert made.warnings == photo.warnings


def test_a_turned_photo_is_cut_upright(camera: ViewGeometry) -> None:
    right = made_car.photo(np.random.default_rng(0))
    turned = made_car.photo(np.random.default_rng(0), 2, 1, 1, -3)
    photo = _saved(turned)
    made = placed(OneCamera(camera), photo)
    record = placement_record(made)
    assert record is not None
    assert record["turn"] == pytest.approx(-3, abs=0.2)
    expected, as_it_lies = (cut(p, photo.square, SIZE)[0].astype(int) for p in (right, turned))
    off = np.abs(made.view - expected).mean()
    assert off < np.abs(as_it_lies - expected).mean() / 5


def test_a_photo_that_lies_right_keeps_every_pixel(camera: ViewGeometry) -> None:
    photo = _saved(made_car.photo(np.random.default_rng(0)))
    assert placed(OneCamera(camera), photo) == replace(photo, placement=AS_IT_LIES)


def test_a_photo_without_a_place_keeps_every_pixel_and_says_so(camera: ViewGeometry) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (115, 115, 3), dtype=np.uint8)
    photo = _saved(noise)
    made = placed(OneCamera(camera), photo)
    assert made.square == photo.square
    assert np.array_equal(made.view, photo.view)
    assert not_placed(made)
    record = placement_record(made)
    assert record is not None
    assert not record["known"]


def test_coarse_light_and_poses_are_not_asked(camera: ViewGeometry) -> None:
    photo = _saved(made_car.photo(np.random.default_rng(0), 3, -2))
    coarse = replace(camera, reflected=camera.reflected[::3, ::3], falling=camera.falling[::3, ::3])
    turned = replace(camera, pose=np.array([[1.0, 0.01, 0], [0, 1, 0]]))
    for other in (coarse, turned):
        made = placed(OneCamera(other), photo)
        assert made is photo
        assert placement_record(made) is None
        assert not not_placed(made)


@pytest.mark.parametrize("degrees", [0.0, 3.0])
def test_a_photo_in_perspective_has_a_bent_geometry(degrees: float) -> None:
    fine, tilt = made_car.camera(256), (-0.03, 0.04)
    photo = _saved(
        made_car.photo(np.random.default_rng(0), 0, 0, 1, degrees, side=256, keystone=tilt)
    )
    made = placed(OneCamera(fine), photo)
    assert made.placement is not None
    bend = straightened(made, fine).bend
    assert bend is not None
    row, column = np.nonzero(np.isfinite(fine.uv[..., 0]))
    at = (np.stack([column, row], axis=1) + 0.5) / len(fine.uv) * 2 - 1
    true = _turned(at / (1 + at @ tilt)[:, None], np.radians(degrees))
    half = photo.square.side / 2
    middle = np.subtract(made.square.middle, photo.square.middle) / half
    without, straight = (
        middle + made.square.side / 2 / half * _turned(points, made.placement.turn) - true
        for points in (at, bend.moved(at))
    )
    off, before = (np.sqrt((x**2).sum(axis=1).mean()) * 128 for x in (straight, without))
    assert off < before / 2


def _turned(at: np.ndarray, angle: float) -> np.ndarray:
    """Points [N, 2] turned from right to down."""
    cos, sin = np.cos(angle), np.sin(angle)
    return at @ np.array([[cos, sin], [-sin, cos]])


@pytest.mark.parametrize("gain", [(0.7, 0.7, 0.7), (1.25, 1.25, 1.25), (1.2, 1.0, 0.85)])
def test_a_photo_of_another_exposure_is_evened_out(
    camera: ViewGeometry, gain: tuple[float, float, float]
) -> None:
    right = _of_the_camera(camera, (1.0, 1.0, 1.0))
    expected = placed(OneCamera(camera), _saved(right))
    assert expected.placement == AS_IT_LIES
    photo = _saved(_of_the_camera(camera, gain))
    made = placed(OneCamera(camera), photo)
    assert made.placement is not None
    assert made.placement.gain == pytest.approx(gain, rel=0.03)
    (note,) = set(made.warnings) - set(photo.warnings)
    assert "times as bright as the training views" in note
    off, before = (np.abs(one.view.astype(int) - expected.view).mean() for one in (made, photo))
    assert off < before / 4
    lit = exposed(made, camera)
    assert lit.falling == pytest.approx(camera.falling * np.array(made.placement.gain))
    assert exposed(expected, camera) is camera


def _of_the_camera(camera: ViewGeometry, gain: tuple[float, float, float]) -> np.ndarray:
    """A photo of the car in grey paint as the camera would take it, of so much light."""
    linear = (camera.reflected + 0.2 * camera.falling) * np.array(gain)
    shown = srgb_from_linear(torch.from_numpy(linear).clamp(0, 1)).numpy()
    noisy = 255 * shown + np.random.default_rng(0).normal(0, 1, shown.shape)
    rim = round(SIDE * (MARGIN - 1) / 2)
    wide = np.pad(noisy, ((rim, rim), (rim, rim), (0, 0)), mode="edge")
    clipped: np.ndarray = wide.clip(0, 255).round().astype(np.uint8)
    return clipped


def test_a_photo_without_a_place_is_not_straightened(camera: ViewGeometry) -> None:
    photo = _saved(made_car.photo(np.random.default_rng(0)))
    for lies in (None, UNKNOWN):
        assert straightened(replace(photo, placement=lies), camera) is camera
