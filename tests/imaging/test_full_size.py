"""Textures that are sampled from photos at their own resolution."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from scipy import ndimage

from uvtex.imaging.bend import PAIRS, bend_of
from uvtex.imaging.compose import compose
from uvtex.imaging.framing import Box
from uvtex.imaging.full_size import (
    BESIDE,
    MENDED,
    SEEN,
    UNKNOWN,
    FullTexture,
    PhotoTexels,
    ViewGeometry,
)

SIDE, PHOTO, TEXELS = 32, 256, 200
STILL = np.array([[1.0, 0, 0], [0, 1.0, 0]])


def _texture(seed: int = 0) -> np.ndarray:
    """Blocks of 8 texels in random colours: uint8 [TEXELS, TEXELS, 3]."""
    blocks = np.random.default_rng(seed).integers(0, 256, (TEXELS // 8, TEXELS // 8, 3))
    return np.kron(blocks, np.ones((8, 8, 1))).astype(np.uint8)


def _view(
    texture: np.ndarray, scale: float = 0.45, size: int = PHOTO, thin: float = 1, turn: float = 0
) -> tuple[np.ndarray, ViewGeometry]:
    """A photo of ``texture`` in uneven light, and what is known of it at SIDE pixels.

    Args:
        thin: part of the texture's height that is shown, in parts of its width.
        turn: of the texture in the photo, in radians.
    """
    cos, sin = np.cos(turn), np.sin(turn)

    def uv(side: int) -> np.ndarray:
        at = (np.arange(side) + 0.5) / side * 2 - 1
        x, y = np.meshgrid(at, at)
        u, v = scale * (cos * x - sin * y), scale * thin * (sin * x + cos * y)
        return np.stack([0.5 + u, 0.5 - v], axis=2).astype(np.float32)

    def light(side: int) -> tuple[np.ndarray, np.ndarray]:
        ramp = np.linspace(0.3, 0.8, side, dtype=np.float32)[None, :, None]
        falling = np.broadcast_to(ramp, (side, side, 3)).copy()
        return falling, np.full((side, side, 3), 0.05, np.float32)

    sharp = np.kron(texture, np.ones((4, 4, 1), np.uint8))  # else the paint is interpolated
    paint = torch.from_numpy(sharp).permute(2, 0, 1)[None].float() / 255
    falling, reflected = (torch.from_numpy(x) for x in light(size))
    shown = compose(paint, torch.from_numpy(uv(3 * size)), falling, reflected)[0]
    photo = (shown * 255).round().byte().permute(1, 2, 0).numpy()
    geometry = ViewGeometry(uv(SIDE), *light(SIDE), np.ones((SIDE, SIDE), np.float32), STILL)
    return photo, geometry


def _whole(photo: np.ndarray) -> Box:
    return Box(0, 0, photo.shape[1], photo.shape[0])


def _small(texture: np.ndarray) -> np.ndarray:
    """``texture`` at SIDE texels."""
    planes = torch.from_numpy(texture).permute(2, 0, 1)[None].float()
    small = torch.nn.functional.interpolate(planes, (SIDE, SIDE), mode="area")[0]
    return small.round().byte().permute(1, 2, 0).numpy()


def test_what_the_photo_shows_is_sharper_than_the_enlarged_texture() -> None:
    texture = _texture()
    photo, geometry = _view(texture)
    whole = FullTexture(TEXELS)
    whole.add(PhotoTexels(photo, _whole(photo), geometry, TEXELS))
    made = whole.finish(_small(texture))
    enlarged = FullTexture(TEXELS).finish(_small(texture))
    seen = whole.confidence > 0.3
    error, rival = (np.abs(x.astype(float) - texture)[seen].mean() for x in (made, enlarged))
    assert seen.mean() > 0.7
    assert error < 0.3 * rival


def test_texels_away_from_what_the_photo_shows_are_the_enlarged_texture() -> None:
    texture = _texture()
    photo, geometry = _view(texture, scale=0.25)
    whole = FullTexture(TEXELS)
    whole.add(PhotoTexels(photo, _whole(photo), geometry, TEXELS))
    made, enlarged = (x.finish(_small(texture)) for x in (whole, FullTexture(TEXELS)))
    away = ndimage.distance_transform_edt(whole.confidence == 0) > BESIDE
    assert away.any()
    assert np.array_equal(made[away], enlarged[away])


def test_layers_say_where_each_texel_comes_from() -> None:
    photo, geometry = _view(_texture(), scale=0.25)
    whole = FullTexture(TEXELS)
    whole.add(PhotoTexels(photo, _whole(photo), geometry, TEXELS))
    unknown = np.zeros((SIDE, SIDE), bool)
    unknown[:4] = True
    layers = whole.layers(unknown)
    assert layers[TEXELS // 2, TEXELS // 2] == SEEN
    assert layers[2, 2] == UNKNOWN
    assert layers[-2, -2] == MENDED
    assert set(np.unique(layers)) == {UNKNOWN, MENDED, SEEN}


def test_a_place_that_is_unsure_is_less_sure_in_the_texture() -> None:
    photo, geometry = _view(_texture())
    trust = np.ones((SIDE, SIDE), np.float32)
    trust[:, : SIDE // 2] = 0.2
    exact, unsure = FullTexture(TEXELS), FullTexture(TEXELS)
    exact.add(PhotoTexels(photo, _whole(photo), geometry, TEXELS))
    doubted = dataclasses.replace(geometry, trust=trust)
    unsure.add(PhotoTexels(photo, _whole(photo), doubted, TEXELS))
    left, right = slice(TEXELS // 4, TEXELS // 3), slice(2 * TEXELS // 3, 3 * TEXELS // 4)
    row = TEXELS // 2
    assert unsure.confidence[row, left] == pytest.approx(0.2 * exact.confidence[row, left])
    assert unsure.confidence[row, right] == pytest.approx(exact.confidence[row, right])


def test_a_crop_of_a_larger_photo_gives_the_same_texture() -> None:
    photo, geometry = _view(_texture())
    large = np.zeros((PHOTO + 90, PHOTO + 50, 3), np.uint8)
    large[40 : 40 + PHOTO, 30 : 30 + PHOTO] = photo
    whole, cropped = FullTexture(TEXELS), FullTexture(TEXELS)
    whole.add(PhotoTexels(photo, _whole(photo), geometry, TEXELS))
    cropped.add(PhotoTexels(large, Box(30, 40, 30 + PHOTO, 40 + PHOTO), geometry, TEXELS))
    sure = (whole.confidence > 0.3)[20:-20, 20:-20]
    ground = np.full((SIDE, SIDE, 3), 99, np.uint8)
    one, two = (x.finish(ground)[20:-20, 20:-20][sure].astype(int) for x in (whole, cropped))
    assert np.abs(one - two).max() <= 2


def test_a_pose_moves_where_the_photo_is_sampled() -> None:
    photo, geometry = _view(_texture())
    shift = 2 * 8 / PHOTO  # eight pixels to the right
    moved = np.roll(photo, 8, axis=1)
    pose = np.add(STILL, [[0, 0, shift], [0, 0, 0]])
    still, other = FullTexture(TEXELS), FullTexture(TEXELS)
    still.add(PhotoTexels(photo, _whole(photo), geometry, TEXELS))
    shifted = dataclasses.replace(geometry, pose=pose)
    other.add(PhotoTexels(moved, _whole(photo), shifted, TEXELS))
    ground = np.full((SIDE, SIDE, 3), 99, np.uint8)
    one, two = (x.finish(ground)[40:-40, 40:-40].astype(int) for x in (still, other))
    assert np.abs(one - two).mean() < 1


def test_sixteen_bits_keep_steps_that_eight_bits_lose() -> None:
    ramp = np.linspace(20000, 20400, PHOTO).astype(np.uint16)
    photo = np.broadcast_to(ramp[None, :, None], (PHOTO, PHOTO, 3)).copy()
    _, geometry = _view(_texture())
    flat = ViewGeometry(
        geometry.uv, np.ones_like(geometry.falling), geometry.reflected * 0, geometry.share, STILL
    )
    whole = FullTexture(TEXELS)
    whole.add(PhotoTexels(photo, _whole(photo), flat, TEXELS))
    made = whole.finish(np.full((SIDE, SIDE, 3), 78, np.uint8), deep=True)
    assert made.dtype == np.uint16
    assert len(np.unique(made[TEXELS // 2, 60:140, 0])) > 30


def test_transparent_pixels_are_not_sampled() -> None:
    photo, geometry = _view(_texture())
    opaque = np.full(photo.shape[:2], 255, np.uint8)
    opaque[:, : PHOTO // 2] = 128
    whole = FullTexture(TEXELS)
    whole.add(PhotoTexels(photo, _whole(photo), geometry, TEXELS, opaque))
    assert not whole.confidence[:, : TEXELS // 2 - 2].any()
    assert whole.confidence[TEXELS // 2, TEXELS // 2 + 4] > 0.3


def test_of_two_photos_the_finer_one_decides() -> None:
    texture = _texture()
    photo, geometry = _view(texture)
    small = np.ascontiguousarray(photo.reshape(SIDE * 2, 4, SIDE * 2, 4, 3).mean((1, 3)))
    both, alone = FullTexture(TEXELS), FullTexture(TEXELS)
    for made in (both, alone):
        made.add(PhotoTexels(photo, _whole(photo), geometry, TEXELS))
    both.add(PhotoTexels(small.round().astype(np.uint8), _whole(small), geometry, TEXELS))
    ground = _small(texture)
    errors = [
        float(np.abs(made.finish(ground).astype(float) - texture)[30:-30, 30:-30].mean())
        for made in (both, alone)
    ]
    assert errors[0] == pytest.approx(errors[1], rel=0.25)


def test_a_bent_photo_is_sampled_where_it_shows_the_texture() -> None:
    texture = _texture()
    photo, geometry = _view(texture)
    bend = bend_of(0.01 * np.random.default_rng(0).normal(size=(2, len(PAIRS))), (0.0, 0.0), 0.6)
    at = (np.arange(PHOTO) + 0.5) / PHOTO * 2 - 1
    row, column = ((bend.back(np.stack(np.meshgrid(at, at), axis=2)) + 1) * PHOTO / 2 - 0.5).T
    bent = np.stack(
        [
            ndimage.map_coordinates(plane.astype(float), [column.T, row.T], mode="nearest")
            for plane in np.moveaxis(photo, 2, 0)
        ],
        axis=2,
    )
    shown = bent.clip(0, 255).round().astype(np.uint8)
    errors = []
    for known in (geometry, dataclasses.replace(geometry, bend=bend)):
        whole = FullTexture(TEXELS)
        whole.add(PhotoTexels(shown, _whole(shown), known, TEXELS))
        made = whole.finish(_small(texture)).astype(float)
        errors.append(np.abs(made - texture)[30:-30, 30:-30].mean())
    assert errors[1] < 0.5 * errors[0]


def test_reduced_light_is_the_mean() -> None:
    _, geometry = _view(_texture())
    small = geometry.reduced(SIDE // 2)
    assert small.falling.shape == (SIDE // 2, SIDE // 2, 3)
    assert small.falling.mean() == pytest.approx(geometry.falling.mean())
    first = geometry.falling[:2, :2].mean(axis=(0, 1))
    assert small.falling[0, 0] == pytest.approx(first)
    assert geometry.reduced(SIDE) is geometry
