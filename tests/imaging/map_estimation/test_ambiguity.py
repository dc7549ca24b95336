"""The odds of a place by its colours alone: small where the liveries show the same elsewhere."""

import torch
from torch import Tensor

from uvtex.imaging.compose import srgb_from_linear
from uvtex.imaging.map_estimation.ambiguity import odds_of_places, table_of
from uvtex.imaging.map_estimation.levels import level_of
from uvtex.imaging.map_estimation.light_line import LightPrior
from uvtex.imaging.map_estimation.pixel_grid import PixelGrid, widely

SIDE = 24


def odds(textures: Tensor, turned: bool = False) -> Tensor:
    """Of a camera that shows the whole atlas, a texel a pixel, float [SIDE, SIDE]."""
    grid = PixelGrid(torch.ones(SIDE, SIDE, dtype=torch.bool))
    views = (srgb_from_linear(0.5 * textures + 0.05) * 255).round().to(torch.uint8)
    lowest = level_of(views, textures, grid.chosen, 1.0)
    position = (grid.points.flip(1) + 0.5) * (256 / SIDE)
    if turned:
        position = 256 - position
    table = table_of(lowest, LightPrior.of_showrooms())
    return odds_of_places(table, lowest.grid, grid, position).view(SIDE, SIDE)


def noise(liveries: int = 8) -> Tensor:
    return torch.rand(liveries, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))


def test_colours_that_no_other_texel_has_tell_the_place() -> None:
    assert odds(noise()).min() > 5


def test_a_wrong_place_has_the_odds_against_it() -> None:
    assert odds(noise(), turned=True).max() < -5


def test_liveries_that_are_the_same_on_both_sides_tell_neither() -> None:
    half = noise()[..., : SIDE // 2]
    told = odds(torch.cat([half, half.flip(3)], dim=3))
    assert told[:, : SIDE // 2 - 2].abs().max() < 1


def test_a_wide_mean_is_that_of_the_chosen_pixels() -> None:
    grid = PixelGrid(torch.tensor([[True, False, True], [False, True, False]]))
    assert torch.allclose(
        widely(torch.tensor([1.0, 2.0, 6.0]), grid), torch.tensor([3.5, 4.0, 3.0])
    )
