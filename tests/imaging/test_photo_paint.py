"""The paint that each pixel of a photo shows."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from uvtex.imaging.compose import linear_from_srgb, srgb_from_linear
from uvtex.imaging.full_size import photo_paint
from uvtex.imaging.full_size.photo_paint import paint_of

SIDE, NOISE = 200, 0.008
EVERYWHERE = np.ones((SIDE, SIDE), bool)


def _same(rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """The light has a pixel for each of the photo's."""
    return np.stack([rows, columns]).astype(np.float64)


def _light() -> np.ndarray:
    """Light that falls off from the left to the right."""
    falling = np.geomspace(0.9, 0.2, SIDE, dtype=np.float32)[None, :, None]
    both = np.concatenate([np.ones((1, 1, 3)), np.full((1, 1, 3), 0.02)], axis=2)
    light = np.broadcast_to(both, (SIDE, SIDE, 6)).astype(np.float32)
    light[..., :3] *= falling
    return light


def _photo(paint: np.ndarray, noise: float) -> np.ndarray:
    light = _light()
    linear = linear_from_srgb(torch.from_numpy(paint)).numpy() * light[..., :3] + light[..., 3:]
    seen = srgb_from_linear(torch.from_numpy(linear)).numpy()
    seen = seen + np.random.default_rng(0).normal(0, noise, seen.shape)
    return (seen.clip(0, 1) * 65535).round().astype(np.uint16)


def _halves() -> np.ndarray:
    """The upper half in one colour, the lower in another: float64 [SIDE, SIDE, 3]."""
    upper = (np.arange(SIDE) < SIDE // 2)[:, None, None]
    return np.where(upper, (0.4, 0.3, 0.35), (0.7, 0.6, 0.5)) * np.ones((1, SIDE, 1))


def test_the_light_is_taken_off() -> None:
    found = paint_of(_photo(_halves(), 0), 0, _light(), EVERYWHERE, _same).srgb / 65535
    assert np.abs(found - _halves()).max() < 0.002


def test_noise_goes_in_dim_light_too_and_the_edge_stays() -> None:
    true, photo = _halves(), _photo(_halves(), NOISE)
    raw = paint_of(photo, 0, _light(), EVERYWHERE, _same).srgb / 65535
    found = paint_of(photo, NOISE, _light(), EVERYWHERE, _same).srgb / 65535
    flat = np.r_[: SIDE // 2 - 8, SIDE // 2 + 8 : SIDE]
    for columns in (slice(0, SIDE // 4), slice(-SIDE // 4, None)):
        before, after = (np.abs(x - true)[flat, columns].mean() for x in (raw, found))
        assert after < 0.25 * before
    beside = slice(SIDE // 2 - 1, SIDE // 2 + 1)
    step = np.diff(found[beside, : SIDE // 2].mean(axis=1), axis=0)[0]
    assert step == pytest.approx(np.diff(true[beside, 0], axis=0)[0], rel=0.05)


def test_bands_join(monkeypatch: pytest.MonkeyPatch) -> None:
    photo = _photo(_halves(), NOISE)
    whole = paint_of(photo, NOISE, _light(), EVERYWHERE, _same).srgb
    monkeypatch.setattr(photo_paint, "BAND", 32)
    parts = paint_of(photo, NOISE, _light(), EVERYWHERE, _same).srgb
    assert np.abs(whole.astype(int) - parts).max() <= 2


def test_pixels_beside_the_paint_change_no_paint() -> None:
    shows = EVERYWHERE.copy()
    shows[:, : SIDE // 2] = False
    photo = _photo(_halves(), NOISE)
    other = photo.copy()
    other[:, : SIDE // 2] = 65535
    one, two = (paint_of(x, NOISE, _light(), shows, _same).srgb for x in (photo, other))
    assert np.array_equal(one[:, SIDE // 2 :], two[:, SIDE // 2 :])


def test_saturated_paint_is_the_least_that_it_may_be() -> None:
    light = np.full((SIDE, SIDE, 6), 0, np.float32)
    light[..., :3] = 2.0  # paint of 0.5 and more is saturated
    photo = np.full((SIDE, SIDE, 3), 65535, np.uint16)
    photo[:, : SIDE // 2] = 0.9 * 65535  # bright, but not saturated
    photo[:, -1, 1] = 0
    found = paint_of(photo, 0, light, EVERYWHERE, _same)
    linear = linear_from_srgb(torch.from_numpy(found.srgb / 65535)).numpy()
    assert linear[0, -2] == pytest.approx(0.5, abs=0.01)
    bright = float(linear_from_srgb(torch.tensor(0.9)))
    assert linear[0, 0] == pytest.approx(bright / 2, abs=0.01)
    assert [int(bits) for bits in found.saturated[0, [0, -2, -1]]] == [0, 7, 5]
