"""How a photo lies to its camera, by what no livery changes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import ndimage

from tests.imaging import made_car
from tests.imaging.made_car import SIDE
from uvtex.imaging.full_size import ViewGeometry
from uvtex.imaging.placing import AS_IT_LIES, MARGIN, Placement, known_of, place, placement
from uvtex.imaging.registration.edges import FARTHEST, STILL


@pytest.fixture(scope="module")
def camera() -> ViewGeometry:
    return made_car.camera()


def _placed(picture: np.ndarray, camera: ViewGeometry) -> Placement:
    return _placed_within(picture, np.ones(picture.shape[:2], bool), camera)


def _placed_within(picture: np.ndarray, valid: np.ndarray, camera: ViewGeometry) -> Placement:
    shown = torch.from_numpy(picture).permute(2, 0, 1)[None].float()
    return placement(place(shown, torch.from_numpy(valid)[None], known_of([camera])))


@pytest.mark.parametrize(
    ("right", "down", "scale"), [(0.6, -0.4, 1), (3, 2, 1), (-5, 1.3, 1.03), (0, 0, 0.95)]
)
def test_a_moved_photo_is_found_to_a_fifth_of_a_pixel(
    camera: ViewGeometry, right: float, down: float, scale: float
) -> None:
    found = _placed(made_car.photo(np.random.default_rng(1), right, down, scale), camera)
    assert found.known
    assert np.array(found.shift) * SIDE / 2 == pytest.approx([right, down], abs=STILL)
    half = 0.7 * SIDE / 2  # of the car's length
    assert (found.scale - scale) * half == pytest.approx(0, abs=STILL)


@pytest.mark.parametrize("degrees", [-4, -0.6, 1, 2.5])
def test_a_turned_photo_is_found_to_a_fifth_of_a_pixel(
    camera: ViewGeometry, degrees: float
) -> None:
    found = _placed(made_car.photo(np.random.default_rng(1), 1, -0.5, 1, degrees), camera)
    assert found.known
    assert np.array(found.shift) * SIDE / 2 == pytest.approx([1, -0.5], abs=STILL)
    half = 0.7 * SIDE / 2  # of the car's length
    assert (found.turn - np.radians(degrees)) * half == pytest.approx(0, abs=STILL)


@pytest.mark.parametrize(
    ("right", "down", "scale", "degrees"), [(0, 0, 1, 0), (3, -2, 1.03, 0), (0, 1, 0.97, 2.0)]
)
def test_another_backdrop_moves_nothing(
    right: float, down: float, scale: float, degrees: float
) -> None:
    side = 2 * SIDE
    picture = made_car.photo(
        np.random.default_rng(1), right, down, scale, degrees, side=side, elsewhere=True
    )
    found = _placed(picture, made_car.camera(side))
    assert found.known
    assert found.moved == ((right, down, scale, degrees) != (0, 0, 1, 0))
    assert np.array(found.shift) * side / 2 == pytest.approx([right, down], abs=STILL)
    half = 0.7 * side / 2  # of the car's length
    assert (found.scale - scale) * half == pytest.approx(0, abs=2 * STILL)
    assert (found.turn - np.radians(degrees)) * half == pytest.approx(0, abs=2 * STILL)


@pytest.mark.parametrize("side", [SIDE, 2 * SIDE])
def test_what_is_compared_lies_between_paint_and_has_no_light_on_paint(side: int) -> None:
    camera = made_car.camera(side)
    guessed = 50 * camera.reflected  # as a fit of the light to pictures has it without paint
    painted = camera.falling > 0
    fitted = replace(camera, falling=np.where(painted, camera.falling, guessed))
    known = known_of([fitted])
    assert torch.equal(known.falling, known_of([camera]).falling)
    at = known.pixel[known.counts]
    rows, columns = at // side, at % side
    paint = np.argwhere(np.isfinite(camera.uv[..., 0]))
    assert rows.min() >= paint[:, 0].min()
    assert rows.max() <= paint[:, 0].max()
    assert columns.min() >= paint[:, 1].min()
    assert columns.max() <= paint[:, 1].max()


@pytest.mark.parametrize("seed", range(3))
def test_a_photo_that_lies_right_is_left_alone(camera: ViewGeometry, seed: int) -> None:
    assert _placed(made_car.photo(np.random.default_rng(seed)), camera) == AS_IT_LIES
    half = STILL / 2
    assert _placed(made_car.photo(np.random.default_rng(seed), half), camera) == AS_IT_LIES


@pytest.mark.parametrize("blur", [0, 3])
def test_noise_has_no_place(camera: ViewGeometry, blur: float) -> None:
    side = round(SIDE * MARGIN)
    noise = np.random.default_rng(0).normal(size=(side, side, 3))
    noise = ndimage.gaussian_filter(noise, (blur, blur, 0))
    picture = (128 + 50 * noise / noise.std()).clip(0, 255).astype(np.uint8)
    found = _placed(picture, camera)
    assert (found.known, found.moved) == (False, False)


@pytest.mark.parametrize(("right", "scale"), [(1.5 * FARTHEST * SIDE, 1), (0, 1 + 2 * FARTHEST)])
def test_a_photo_beyond_the_bound_is_left_and_told(
    camera: ViewGeometry, right: float, scale: float
) -> None:
    found = _placed(made_car.photo(np.random.default_rng(2), right, 0, scale), camera)
    assert (found.known, found.moved) == (False, False)


def test_pixels_that_the_photo_has_not_do_not_count(camera: ViewGeometry) -> None:
    picture = made_car.photo(np.random.default_rng(3), 2, -1)
    valid = np.ones(picture.shape[:2], bool)
    valid[: len(valid) // 3] = False
    picture[: len(valid) // 3] = 90
    found = _placed_within(picture, valid, camera)
    assert found.known
    assert np.array(found.shift) * SIDE / 2 == pytest.approx([2, -1], abs=0.2)


def test_a_camera_that_sees_paint_alone_places_nothing(camera: ViewGeometry) -> None:
    uv = np.nan_to_num(camera.uv, nan=0.5)
    found = _placed(
        made_car.photo(np.random.default_rng(4)), ViewGeometry(**{**vars(camera), "uv": uv})
    )
    assert not found.known
