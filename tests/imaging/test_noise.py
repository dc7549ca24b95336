"""The noise of photos."""

from __future__ import annotations

import numpy as np
import pytest

from uvtex.imaging.noise import noise_level, without_noise

SIDE = 300


def _stripes() -> np.ndarray:
    """Stripes of 20 pixels in two colours, float [SIDE, SIDE, 3] in [0, 1]."""
    dark = (np.arange(SIDE) // 20 % 2 == 0)[None, :, None]
    return np.where(dark, (0.2, 0.3, 0.4), (0.8, 0.5, 0.6)) * np.ones((SIDE, 1, 1))


def _noisy(picture: np.ndarray, noise: float | np.ndarray) -> np.ndarray:
    return picture + np.random.default_rng(0).normal(0, noise, picture.shape)


def _taken(picture: np.ndarray, noise: float, kind: type = np.uint8) -> np.ndarray:
    top = np.iinfo(kind).max
    return (_noisy(picture, noise).clip(0, 1) * top).round().astype(kind)


EVERY = np.indices((SIDE, SIDE)).reshape(2, -1)
EVERYWHERE = np.ones((SIDE, SIDE), bool)
INSIDE = np.arange(SIDE) % 20 // 5 % 3 > 0  # at least five pixels from an edge


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
@pytest.mark.parametrize("noise", [0.01, 0.04])
def test_the_level_is_that_of_the_noise(noise: float, kind: type) -> None:
    assert noise_level(_taken(_stripes(), noise, kind), *EVERY) == pytest.approx(noise, rel=0.2)


def test_a_clean_picture_has_less_than_rounding_makes() -> None:
    assert noise_level(_taken(_stripes(), 0), *EVERY) < 0.001


def test_noise_goes_and_edges_stay() -> None:
    true = _stripes()
    noisy = _noisy(true, 0.02).astype(np.float32)
    made = without_noise(noisy, np.full(noisy.shape, 0.02, np.float32), EVERYWHERE)
    off = np.abs(made - true)
    assert off[:, INSIDE].mean() < 0.2 * np.abs(noisy - true).mean()
    step = made[:, 20:-20:40].mean((0, 1)) - made[:, 19:-20:40].mean((0, 1))
    assert (step / (true[0, 20] - true[0, 19])).min() > 0.9


def test_each_pixel_is_smoothed_by_its_own_noise() -> None:
    """Stripes within the noise of the upper half stay in the lower, whose noise is small."""
    noise = np.full((SIDE, SIDE, 3), 0.01, np.float32)
    noise[: SIDE // 2] = 0.3
    true = _stripes()
    made = without_noise(_noisy(true, noise).astype(np.float32), noise, EVERYWHERE)
    lower = slice(SIDE // 2 + 10, None)
    assert np.abs(made - true)[lower].mean() < 0.005
    upper = slice(0, SIDE // 2 - 10)
    noisy = _noisy(true, noise)
    assert np.abs(made - true)[upper].mean() < 0.6 * np.abs(noisy - true)[upper].mean()


def test_pixels_that_do_not_count_stay_and_change_nothing() -> None:
    noisy = _noisy(_stripes(), 0.02).astype(np.float32)
    noise = np.full(noisy.shape, 0.02, np.float32)
    counts = EVERYWHERE.copy()
    counts[:, 100:140] = False
    other = noisy.copy()
    other[:, 100:140] = 5
    one, two = without_noise(noisy, noise, counts), without_noise(other, noise, counts)
    assert np.array_equal(two[:, 100:140], other[:, 100:140])
    assert one[counts] == pytest.approx(two[counts], abs=1e-5)


def test_no_pixel_has_no_noise() -> None:
    assert noise_level(np.zeros((4, 4, 3), np.uint8), *np.zeros((2, 0), np.int64)) == 0
