"""Similarities of the plane, and pictures that are brought back from them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import ndimage

from uvtex.imaging.registration.similarity import (
    brought_back,
    displacement,
    frame,
    inverse,
    joined,
    picture_back,
    placed,
)

MOVE = torch.tensor([0.06, -0.03, 0.05, 0.08], dtype=torch.float64)
OTHER = torch.tensor([-0.02, 0.04, -0.03, 0.11], dtype=torch.float64)


def _picture() -> np.ndarray:
    """uint8 [60, 96, 3], smooth."""
    grain = np.random.default_rng(0).normal(0, 1, (60, 96, 3))
    soft = ndimage.gaussian_filter(grain, (3, 3, 0))
    return ((soft - soft.min()) / np.ptp(soft) * 255).round().astype(np.uint8)


def test_joined_moves_are_done_one_after_the_other() -> None:
    points = frame((5, 7))
    both = placed(placed(points, OTHER), MOVE)
    assert torch.allclose(placed(points, joined(MOVE, OTHER)), both)


def test_an_inverse_undoes_a_move() -> None:
    for move in (joined(MOVE, inverse(MOVE)), joined(inverse(MOVE), MOVE)):
        assert torch.allclose(move, torch.zeros(4, dtype=torch.float64), atol=1e-12)


def test_a_turn_is_from_right_to_down() -> None:
    quarter = torch.tensor([0.0, 0.0, 0.0, torch.pi / 2], dtype=torch.float64)
    right = torch.tensor([[1.0, 0.0]], dtype=torch.float64)
    assert torch.allclose(placed(right, quarter), right.flip(1), atol=1e-12)


def test_no_point_of_the_inner_circle_moves_further_than_the_displacement() -> None:
    angles = torch.linspace(0, 2 * torch.pi, 100, dtype=torch.float64)
    ring = torch.stack([angles.cos(), angles.sin()], dim=1)
    far = (placed(ring, MOVE) - ring).norm(dim=1).max()
    assert float(far) == pytest.approx(float(displacement(MOVE)), rel=1e-3)


def test_a_picture_is_brought_back() -> None:
    picture = _picture()
    away = picture_back(picture, inverse(MOVE))
    back = picture_back(away, MOVE)
    inner = (slice(12, -12), slice(12, -12))
    off = np.abs(back.astype(float) - picture)[inner]
    assert off.max() <= 2
    assert np.abs(away.astype(float) - picture)[inner].max() > 50
    planes = torch.from_numpy(away).permute(2, 0, 1)[None].float()
    bilinear = brought_back(planes, MOVE[None])[0].permute(1, 2, 0).numpy()
    assert np.abs(bilinear - picture)[inner].max() < 8


@pytest.mark.parametrize("part", [0.1, 0.25, 0.4])
def test_a_ramp_stays_a_ramp(part: float) -> None:
    """Pillow's bicubic filter would move it by up to 0.09 pixels more."""
    ramp = np.tile(np.arange(0, 240, 4, dtype=np.uint8), (60, 1)).repeat(3).reshape(60, 60, 3)
    move = torch.tensor([part / 30, 0.0, 0.0, 0.0], dtype=torch.float64)
    moved = picture_back(ramp, move).astype(float)
    assert np.abs(moved - ramp - 4 * part)[10:-10, 10:-10].max() <= 0.5


def test_what_lies_beyond_the_border_has_its_colour() -> None:
    picture = np.full((20, 30, 3), 200, np.uint8)
    move = torch.tensor([0.5, 0.5, 0.3, 0.3], dtype=torch.float64)
    assert (picture_back(picture, move) == 200).all()
