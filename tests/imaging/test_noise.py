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


def _taken(picture: np.ndarray, noise: float, kind: type = np.uint8) -> np.ndarray:
    top = np.iinfo(kind).max
    noisy = picture + np.random.default_rng(0).normal(0, noise, picture.shape)
    return (noisy.clip(0, 1) * top).round().astype(kind)


EVERY = np.indices((SIDE, SIDE)).reshape(2, -1)


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
@pytest.mark.parametrize("noise", [0.01, 0.04])
def test_the_level_is_that_of_the_noise(noise: float, kind: type) -> None:
    assert noise_level(_taken(_stripes(), noise, kind), *EVERY) == pytest.approx(noise, rel=0.2)


def test_a_clean_picture_is_left_as_it_is() -> None:
    photo = _taken(_stripes(), 0)
    level = noise_level(photo, *EVERY)
    assert level < 0.001
    assert without_noise(photo, level) is photo


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_noise_goes_and_edges_stay(kind: type) -> None:
    true = _stripes()
    photo = _taken(true, 0.02, kind)
    made = without_noise(photo, noise_level(photo, *EVERY)) / 65535
    off = np.abs(made - true)
    assert made.shape == photo.shape
    inside = np.arange(SIDE) % 20 // 5 % 3 > 0  # at least five pixels from an edge
    assert off[:, inside].mean() < 0.35 * np.abs(photo / np.iinfo(kind).max - true).mean()
    step = made[:, 20:-20:40].mean((0, 1)) - made[:, 19:-20:40].mean((0, 1))
    assert (step / (true[0, 20] - true[0, 19])).min() > 0.9


def test_no_pixel_has_no_noise() -> None:
    assert noise_level(np.zeros((4, 4, 3), np.uint8), *np.zeros((2, 0), np.int64)) == 0
