"""Photos that are blurred beside the others count less in a texture."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from tests.imaging.test_full_size import TEXELS, _small, _texture, _view, _whole
from uvtex.imaging.full_size import FullTexture, PhotoTexels, detail_of, weights
from uvtex.imaging.full_size.sharpness import LEAST, SHARP


def _texels(photo: np.ndarray, scale: float = 0.45) -> PhotoTexels:
    _, geometry = _view(_texture(), scale)
    return PhotoTexels(photo, _whole(photo), geometry, TEXELS)


def _blurred(photo: np.ndarray, sigma: float) -> np.ndarray:
    made: np.ndarray = ndimage.gaussian_filter(photo, (sigma, sigma, 0))
    return made


def _noisy(photo: np.ndarray, seed: int) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(0, 2, photo.shape)
    return (photo + noise).clip(0, 255).round().astype(np.uint8)


def test_sharp_photos_count_fully() -> None:
    photo, _ = _view(_texture())
    details = [detail_of(_texels(_noisy(photo, seed))) for seed in range(3)]
    found, shares = weights(details)
    assert all((weight == 1).all() for weight in found)
    assert min(shares) > 0.95


@pytest.mark.parametrize("sigma", [1.5, 3])
def test_a_blurred_photo_counts_less_and_the_texture_is_nearer_to_the_truth(sigma: float) -> None:
    texture = _texture()
    photo, _ = _view(texture)
    photos = [_texels(photo), _texels(_blurred(photo, sigma))]
    found, shares = weights([detail_of(one) for one in photos])
    assert shares[0] == 1
    assert shares[1] < SHARP
    assert found[1].mean() < 0.8 < found[0].min()
    seen = slice(TEXELS // 10, -TEXELS // 10)
    errors = []
    for weight in ([None, None], found):
        whole = FullTexture(TEXELS)
        for one, sharp in zip(photos, weight, strict=True):
            whole.add(one, sharp)
        made = whole.finish(_small(texture)).astype(float)
        errors.append(np.abs(made - texture)[seen, seen].mean())
    assert errors[1] < errors[0]


def test_texels_that_a_blurred_photo_alone_shows_are_taken_from_it() -> None:
    texture = _texture()
    near, wide = (_view(texture, scale)[0] for scale in (0.25, 0.45))
    photos = [_texels(near, 0.25), _texels(_blurred(wide, 4))]
    found, _ = weights([detail_of(one) for one in photos])
    assert found[1].min() >= np.float32(LEAST)
    whole = FullTexture(TEXELS)
    for one, sharp in zip(photos, found, strict=True):
        whole.add(one, sharp)
    alone = FullTexture(TEXELS)
    alone.add(photos[1])
    at = TEXELS // 2, TEXELS // 8
    both, one = (made.finish(_small(texture))[at].astype(int) for made in (whole, alone))
    assert np.abs(both - one).max() < 9


def test_plain_photos_and_photos_of_other_texels_count_fully() -> None:
    plain = np.full((256, 256, 3), 128, np.uint8)
    found, shares = weights([detail_of(_texels(plain)), detail_of(_texels(plain))])
    assert all((weight == 1).all() for weight in found)
    nothing = np.full((48, 6), np.nan, np.float32)
    found, shares = weights([nothing, np.ones((48, 6), np.float32)])
    assert all((weight == 1).all() for weight in found)
    assert shares == [1, 1]
