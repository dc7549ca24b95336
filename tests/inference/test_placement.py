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
from uvtex.imaging.full_size import ViewGeometry
from uvtex.imaging.placing import AS_IT_LIES, MARGIN
from uvtex.inference.photos import Photo, cut, prepare
from uvtex.inference.placement import not_placed, placed, placement_record
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
