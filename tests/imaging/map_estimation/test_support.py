"""What speaks for the place of a pixel."""

import math

import torch
from torch import Tensor

from uvtex.imaging.map_estimation.certainty.support import crowding, least_around, roughness
from uvtex.imaging.map_estimation.pixel_grid import PixelGrid

SIDE = 24
GRID = PixelGrid(torch.ones(SIDE, SIDE, dtype=torch.bool))
STEP = 4.0
SLOPE = STEP * torch.eye(2).expand(SIDE * SIDE, 2, 2)


def plane() -> Tensor:
    """A map that goes STEP a pixel, float [P, 2]."""
    return STEP * GRID.points.flip(1).float()


def test_a_plane_is_smooth_and_jitter_is_rough() -> None:
    jitter = 0.3 * torch.randn(SIDE * SIDE, 2, generator=torch.Generator().manual_seed(0))
    smooth, rough = (roughness(at, SLOPE, GRID) for at in (plane(), plane() + jitter))
    assert smooth.max() < math.log(0.002)
    assert rough.median() > math.log(0.2)
    assert rough.median() < math.log(0.9)


def test_a_pixel_without_neighbours_is_rough() -> None:
    alone = PixelGrid(torch.tensor([[True, False, False, True]]))
    told = roughness(torch.zeros(2, 2), torch.zeros(2, 2, 2), alone)
    assert (told > 1).all()


def test_a_map_that_shows_each_place_once_is_not_crowded() -> None:
    assert crowding(plane(), torch.full((SIDE * SIDE,), STEP), GRID).max() == 0


def test_a_place_that_two_sides_of_the_picture_show_is_crowded() -> None:
    place = plane().view(SIDE, SIDE, 2)
    place[:, SIDE // 2 :] = place[:, : SIDE // 2].clone()
    told = crowding(place.view(-1, 2), torch.full((SIDE * SIDE,), STEP), GRID)
    assert (told == 1).all()


def test_neighbours_that_share_a_place_do_not_crowd_it() -> None:
    assert crowding(torch.zeros(4, 2), torch.ones(4), PixelGrid(torch.ones(2, 2) > 0)).max() == 0


def test_one_pixel_is_not_crowded() -> None:
    assert crowding(torch.zeros(1, 2), torch.ones(1), PixelGrid(torch.ones(1, 1) > 0)).max() == 0


def test_the_least_around_is_of_the_pixel_itself_too() -> None:
    grid = PixelGrid(torch.tensor([[True, True, False, True]]))
    assert least_around(torch.tensor([1.0, 3.0, 2.0]), grid).tolist() == [1, 1, 2]
