"""How a photo is bent beside its camera's picture."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import ndimage

from tests.imaging import made_car
from uvtex.imaging.bend import PAIRS, bend_of
from uvtex.imaging.full_size import ViewGeometry
from uvtex.imaging.placing import MARGIN, known_of, place, placement
from uvtex.imaging.placing.bending import LEAST, BendFit, Cut, bent, frame_of

SIDE = 256
"""Pixels of the light along a side."""


@pytest.fixture(scope="module")
def camera() -> ViewGeometry:
    return made_car.camera(SIDE)


def _cut(picture: np.ndarray) -> Cut:
    """A photo that has as many pixels as are asked for."""

    def shown(side: int) -> tuple[np.ndarray, np.ndarray]:
        assert len(picture) == side
        return picture, np.ones((side, side), bool)

    return shown


def _painted(camera: ViewGeometry) -> np.ndarray:
    """The places of painted pixels, [N, 2] on [-1, 1]."""
    row, column = np.nonzero(np.isfinite(camera.uv[..., 0]))
    return (np.stack([column, row], axis=1) + 0.5) / len(camera.uv) * 2 - 1


def _rms(away: np.ndarray) -> float:
    """Root mean square of displacements [N, 2], in pixels of the light."""
    return float(np.sqrt((away**2).sum(axis=1).mean()) * SIDE / 2)


@pytest.mark.parametrize("keystone", [(0.05, 0.0), (-0.03, 0.04), (0.02, -0.06)])
def test_a_photo_in_perspective_is_found_to_half_a_pixel(
    camera: ViewGeometry, keystone: tuple[float, float]
) -> None:
    picture = made_car.photo(np.random.default_rng(0), side=SIDE, keystone=keystone)
    found = bent(_cut(picture), camera)
    assert found is not None
    at = _painted(camera)
    true = at / (1 + at @ keystone)[:, None]
    assert _rms(true - at) > 1
    assert _rms(found.moved(at) - true) < 0.5


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("elsewhere", [False, True])
def test_a_photo_that_is_not_bent_stays_so(
    camera: ViewGeometry, seed: int, elsewhere: bool
) -> None:
    picture = made_car.photo(np.random.default_rng(seed), side=SIDE, elsewhere=elsewhere)
    assert bent(_cut(picture), camera) is None


def test_noise_is_not_bent(camera: ViewGeometry) -> None:
    side = round(SIDE * MARGIN)
    noise = np.random.default_rng(0).integers(0, 256, (side, side, 3), dtype=np.uint8)
    assert bent(_cut(noise), camera) is None


def test_coarse_light_is_not_compared() -> None:
    coarse = made_car.camera(LEAST - 1)
    picture = made_car.photo(np.random.default_rng(0), side=LEAST - 1, keystone=(0.05, 0.05))
    assert bent(_cut(picture), coarse) is None


def test_a_camera_without_paint_is_not_compared(camera: ViewGeometry) -> None:
    bare = ViewGeometry(**{**vars(camera), "uv": np.full_like(camera.uv, np.nan)})
    assert bent(_cut(made_car.photo(np.random.default_rng(0), side=SIDE)), bare) is None


def test_a_bend_is_undone() -> None:
    rng = np.random.default_rng(0)
    bend = bend_of(0.002 * rng.normal(size=(2, len(PAIRS))), (0.1, -0.05), 0.4)
    at = rng.uniform(-0.7, 0.7, (100, 2))
    away = np.linalg.norm(bend.moved(at) - at, axis=1).max()
    assert away > 0.01
    assert np.abs(bend.moved(bend.back(at)) - at).max() < away / 1000


def test_a_fit_moves_pixels_as_its_bend_does(camera: ViewGeometry) -> None:
    known = known_of([camera])
    picture = torch.zeros(1, 3, round(SIDE * MARGIN), round(SIDE * MARGIN))
    values = torch.from_numpy(0.001 * np.random.default_rng(1).normal(size=(1, 2 * len(PAIRS))))
    (middle,), (spread,) = (x.tolist() for x in frame_of(known))
    bend = bend_of(values.reshape(2, -1).numpy(), middle, spread)
    at = (np.stack([known.pixel[0] % SIDE, known.pixel[0] // SIDE], axis=1) + 0.5) / SIDE * 2 - 1
    for move in (None, torch.tensor([[0.01, -0.02, 0.03, 0.05]]).double()):
        fit = BendFit(picture, torch.ones_like(picture[:, 0], dtype=torch.bool), known, move)
        found, across, down = fit._moved(values)
        right, below, grows, turn = (0.0,) * 4 if move is None else move[0].tolist()
        x, y = bend.moved(at).T
        cos, sin = np.exp(grows) * np.cos(turn), np.exp(grows) * np.sin(turn)
        expected = np.stack([right + cos * x - sin * y, below + sin * x + cos * y], axis=1)
        assert found[0].numpy() == pytest.approx(expected)
        step = torch.zeros_like(values)
        step[0, 13] = 1e-4
        slope = torch.stack([across, down], dim=2)[..., 13]
        assert ((fit._moved(values + step)[0] - found) / 1e-4 - slope).abs().max() < 1e-6


@pytest.mark.parametrize("keystone", [(0.0, 0.0), (-0.03, 0.04)])
@pytest.mark.parametrize("pixels", [0.0, 1.0, 2.0])
def test_the_blur_of_a_photo_is_known(
    camera: ViewGeometry, pixels: float, keystone: tuple[float, float]
) -> None:
    picture = made_car.photo(np.random.default_rng(0), side=SIDE, keystone=keystone)
    blurred = ndimage.gaussian_filter(picture, (pixels, pixels, 0))
    shown = torch.from_numpy(blurred).permute(2, 0, 1)[None].float()
    valid = torch.ones(1, *blurred.shape[:2], dtype=torch.bool)
    found = placement(place(shown, valid, known_of([camera])))
    assert found.known
    assert found.blur * SIDE / 2 == pytest.approx(pixels, abs=0.5)
