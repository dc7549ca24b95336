"""Texels that are smaller than the pixels of the photos."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import sparse

from tests.imaging.test_full_size import TEXELS, _small, _texture, _view, _whole
from uvtex.imaging.compose import linear_from_srgb
from uvtex.imaging.full_size import FullTexture, PhotoTexels, super_resolution, texel_areas
from uvtex.imaging.full_size.photo_texels import Pixels

COARSE = 96
"""Side of a photo whose pixels cover almost two texels each way."""


def _photo(
    texture: np.ndarray, scale: float = 0.45, thin: float = 1, turn: float = 0
) -> PhotoTexels:
    photo, geometry = _view(texture, scale, COARSE, thin, turn)
    return PhotoTexels(photo, _whole(photo), geometry, TEXELS)


def _made(texture: np.ndarray, *photos: PhotoTexels) -> tuple[np.ndarray, np.ndarray]:
    """The full texture of photos, and where they show it well."""
    whole = FullTexture(TEXELS)
    for photo in photos:
        whole.add(photo)
    return whole.finish(_small(texture)), whole.confidence > 0.1


def _misfits(texture: np.ndarray, photo: PhotoTexels) -> tuple[float, float]:
    """How far pixels are, in linear light, from their texels' means and from the texture's mean."""
    pixels = photo.pixels(slice(0, TEXELS), slice(0, TEXELS))
    assert np.allclose(pixels.shares.sum(axis=1), 1, atol=1e-5)
    paint = linear_from_srgb(torch.from_numpy(texture.reshape(-1, 3) / 255)).numpy()
    shown = linear_from_srgb(torch.from_numpy(pixels.paint)).numpy()
    inner = pixels.sure > 0.1
    assert inner.mean() > 0.5
    own, blind = (
        np.abs(means - shown)[inner].mean() for means in (pixels.shares @ paint, paint.mean(axis=0))
    )
    return float(own), float(blind)


def test_a_pixel_is_the_mean_of_its_texels() -> None:
    texture = _texture()
    found, blind = _misfits(texture, _photo(texture))
    assert found < 0.012
    assert blind > 0.2  # the colours of the blocks differ far more


def test_a_pixel_at_a_slant_is_the_mean_of_its_texels(monkeypatch: pytest.MonkeyPatch) -> None:
    texture = _texture()
    photo = _photo(texture, 0.35, thin=0.25, turn=0.5)
    found, _ = _misfits(texture, photo)
    monkeypatch.setattr(texel_areas, "LONGEST", 0.0)  # no neighbour tells: squares
    squares, _ = _misfits(texture, photo)
    assert found < 0.006
    assert found < 0.5 * squares


def test_edges_within_pixels_become_sharp(monkeypatch: pytest.MonkeyPatch) -> None:
    texture = _texture()
    made, well = _made(texture, _photo(texture))
    monkeypatch.setattr(super_resolution, "STEPS", 0)
    interpolated, _ = _made(texture, _photo(texture))
    after, before = (
        np.abs(found.astype(float) - texture)[well].mean() for found in (made, interpolated)
    )
    assert well.mean() > 0.6
    assert after < 0.8 * before


def test_two_photos_tell_more_than_one() -> None:
    texture = _texture()
    first, second = _photo(texture), _photo(texture, 0.43)
    one, well = _made(texture, first)
    both, _ = _made(texture, first, second)
    after, before = (np.abs(found.astype(float) - texture)[well].mean() for found in (both, one))
    assert after < 0.8 * before


def _pixel_for_pixel(paint: np.ndarray, least: np.ndarray | None = None) -> Pixels:
    """A photo that shows each texel in a pixel of its own; ``least`` of these are saturated."""
    count = paint.shape[0] * paint.shape[1]
    saturated = np.zeros_like(paint, bool) if least is None else least
    shares = sparse.eye_array(count, dtype=np.float32, format="csr")
    sure = np.ones(count, np.float32)
    return Pixels(shares, paint.reshape(-1, 3), saturated.reshape(-1, 3), sure)


def test_saturated_pixels_take_the_paint_around_them_if_it_is_bright_enough() -> None:
    everywhere, spot = np.ones((40, 40), bool), np.s_[16:24, 16:24]
    photo = np.full((40, 40, 3), (0.5, 0.6, 0.9), np.float32)
    photo[spot] = 0.4, 0.7, 0.8  # the light there leaves room up to white
    least = np.zeros((40, 40, 3), bool)
    least[spot] = True
    made = super_resolution.resolved(photo, everywhere, [_pixel_for_pixel(photo, least)])
    assert np.abs(made[spot] - (0.5, 0.7, 0.9)).max() < 0.02
    measured = super_resolution.resolved(photo, everywhere, [_pixel_for_pixel(photo)])
    assert np.abs(measured[spot] - photo[spot]).max() < 0.02


def test_a_photo_that_contradicts_two_others_hardly_counts() -> None:
    paint = np.full((40, 40, 3), (0.3, 0.6, 0.9), np.float32)
    wrong = paint.copy()
    wrong[:, 20:26] = 0.9, 0.1, 0.2  # an edge that lies elsewhere by its UV map
    photos = [_pixel_for_pixel(one) for one in (paint, wrong, paint)]
    made = super_resolution.resolved(paint, np.ones((40, 40), bool), photos)
    assert np.abs(made - paint).max() < 0.05  # the mean of the three is 0.23 off


def test_tiles_fit_together(monkeypatch: pytest.MonkeyPatch) -> None:
    texture = _texture()
    whole, _ = _made(texture, _photo(texture))
    monkeypatch.setattr(super_resolution, "TILE", 64)
    tiled, _ = _made(texture, _photo(texture))
    off = np.abs(whole.astype(float) - tiled)
    assert off.mean() < 0.5
    assert off.max() < 24


def test_a_tile_that_no_photo_shows_stays() -> None:
    start = np.random.default_rng(0).random((20, 20, 3)).astype(np.float32)
    everywhere = np.ones((20, 20), bool)
    assert super_resolution.resolved(start, everywhere, []) is start
