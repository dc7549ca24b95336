"""Pixels on the edge of a panel are divided between two places, and whole ones are not."""

import pytest
import torch
from torch import Tensor

from uvtex.imaging.map_estimation.edge_pixels.divide import Divided, divide
from uvtex.imaging.map_estimation.footprints import SAMPLES, Texels, sample_points
from uvtex.imaging.map_estimation.light_line import LightPrior
from uvtex.imaging.map_estimation.pixel_grid import PixelGrid
from uvtex.imaging.map_estimation.refine import Observations

SIDE = 7
LEFT, RIGHT = torch.tensor([60.0, 90.0]), torch.tensor([190.0, 140.0])
SLOPE = torch.tensor([[5.0, 1.0], [-1.0, 4.0]])


def panels(column: int) -> tuple[Tensor, Tensor]:
    """The true samples of two panels that meet a third into ``column``: [P, 9, 2]; and places."""
    grid = PixelGrid(torch.ones(SIDE, SIDE, dtype=torch.bool))
    row, at = grid.points.float().unbind(dim=1)
    offset = torch.stack([at - column, row - SIDE // 2], dim=1)
    place = offset[:, None] + SAMPLES
    is_left = place[..., 0] < -1 / 6
    along = place @ SLOPE.T
    samples = torch.where(is_left[..., None], LEFT + along, RIGHT + along)
    middle = offset @ SLOPE.T
    guessed = torch.where((at < column)[:, None], LEFT + middle, RIGHT + middle)
    return samples, guessed


def divided(samples: Tensor, guessed: Tensor, painted: Tensor) -> Divided:
    """What is found in pixels of ``painted`` samples, bool [P, 9], from guessed places."""
    textures = torch.rand(10, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    texels = Texels.of(textures)
    colours = sample_points(texels, samples.flatten(0, 1)).view(len(samples), 9, -1, 3)
    weight = painted.float()[..., None, None]
    pixels = 0.5 * (colours * weight).sum(dim=1) / weight.sum(dim=1) + 0.05
    seen = Observations(pixels, torch.ones_like(pixels), texels)
    grid = PixelGrid(torch.ones(SIDE, SIDE, dtype=torch.bool))
    slope = SLOPE.expand(len(samples), 2, 2)
    return divide(guessed, slope, seen, grid, 0.004, LightPrior.of_showrooms())


def test_a_pixel_between_two_panels_shows_a_part_of_each() -> None:
    samples, guessed = panels(column=3)
    edge = torch.arange(SIDE * SIDE) % SIDE == 3
    guessed[edge] = (LEFT + RIGHT) / 2  # as if one place explained both
    found = divided(samples, guessed, torch.ones(len(samples), 9, dtype=torch.bool))
    assert (found.samples[edge] - samples[edge]).norm(dim=-1).max() < 0.01
    larger = samples[edge][:, SAMPLES[:, 0] > -1 / 6].mean(dim=1)
    assert (found.position[edge] - larger).norm(dim=-1).max() < 0.01


def test_a_pixel_that_shows_one_place_is_left_whole() -> None:
    samples, guessed = panels(column=3)
    whole = torch.arange(SIDE * SIDE) % SIDE != 3
    found = divided(samples, guessed, torch.ones(len(samples), 9, dtype=torch.bool))
    assert (found.position[whole] - guessed[whole]).norm(dim=-1).max() < 0.01
    assert (found.samples[whole] - samples[whole]).norm(dim=-1).max() < 0.01


@pytest.mark.parametrize("last", [-1 / 6, 1 / 6])
def test_a_part_without_paint_has_no_place(last: float) -> None:
    samples, guessed = panels(column=-5)
    edge = torch.arange(SIDE * SIDE) % SIDE == SIDE - 1
    painted = ~edge[:, None] | (SAMPLES[:, 0] < last)
    found = divided(samples, guessed, painted)
    inner = edge.view(SIDE, SIDE)[1:-1].flatten()
    held = torch.isfinite(found.samples[..., 0]).view(SIDE, SIDE, 9)[1:-1].flatten(0, 1)
    assert torch.equal(held[inner], painted.view(SIDE, SIDE, 9)[1:-1].flatten(0, 1)[inner])


def test_a_panel_of_one_pixel_has_the_slope_that_its_neighbours_lack() -> None:
    grid = PixelGrid(torch.ones(SIDE, SIDE, dtype=torch.bool))
    row, column = grid.points.float().unbind(dim=1)
    strip = row == SIDE // 2
    down = (row[:, None] - SIDE // 2) + SAMPLES[:, 1]
    right = (column[:, None] - SIDE // 2) + SAMPLES[:, 0]
    # 24 units a pixel in the strip, and 3 above and below it.
    along = torch.where(strip[:, None], 24 * down, 3 * down + 10.5 * down.sign())
    samples = torch.stack([128 + 4 * right, 128 + along], dim=-1)
    guessed = samples.mean(dim=1)
    painted = torch.ones(len(samples), 9, dtype=torch.bool)
    found = divided(samples, guessed, painted)
    assert (found.samples[strip] - samples[strip]).norm(dim=-1).max() < 0.5  # a texel has 8
