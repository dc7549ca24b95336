"""Planes of windows: an area is placed by the sum of its pixels, of which none can be alone."""

import torch
from torch import Tensor

from uvtex.imaging.map_estimation.pixel_grid import PixelGrid
from uvtex.imaging.map_estimation.window_planes import window_planes

SIDE, TEXELS, TEXEL = 16, 32, 8.0
GRID = PixelGrid(torch.ones(SIDE, SIDE, dtype=torch.bool))
SLOPE = torch.tensor([[7.0, 1.0], [-1.0, 6.0]])
TURNED_OVER = SLOPE @ torch.tensor([[-1.0, 0.0], [0.0, 1.0]])
STRAY = torch.tensor([[1.0, 5.0], [5.0, 1.0]])
COLUMN = GRID.points[:, 1]


def truth() -> Tensor:
    """The positions of a map that is one plane, float [P, 2]."""
    return GRID.points.flip(1).float() @ SLOPE.T + torch.tensor([60.0, 80.0])


def table(decoys: int = 60) -> Tensor:
    """Evidence that the true texel shares with ``decoys`` others, which differ between pixels."""
    generator = torch.Generator().manual_seed(0)
    order = torch.rand(SIDE**2, TEXELS**2, generator=generator).argsort(dim=1)
    found = torch.full((SIDE**2, TEXELS**2), -30.0)
    found.scatter_(1, order[:, :decoys], 0.0)
    column, row = (truth() / TEXEL).long().unbind(dim=1)
    found[torch.arange(SIDE**2), row * TEXELS + column] = 0.0
    return found


def slopes(one: Tensor) -> Tensor:
    return one.expand(SIDE**2, 2, 2).clone()


def trusted(*columns: int) -> Tensor:
    return torch.isin(COLUMN, torch.tensor(columns))


def placed(table: Tensor, slope: Tensor, sure: Tensor) -> Tensor:
    """The pixels that have a candidate within a texel of the truth, bool [P]."""
    planes, there = window_planes(table, GRID, slope, sure)
    off = (planes.position - truth()[:, None]).norm(dim=-1).masked_fill(~there, torch.inf)
    return off.amin(dim=1) < 1.5 * TEXEL


def test_an_area_is_placed_by_its_sum_where_no_pixel_alone_tells_its_place() -> None:
    slope = slopes(TURNED_OVER)
    slope[trusted(0)] = STRAY
    assert placed(table(), slope, trusted(0)).all()


def test_an_area_is_placed_with_the_slopes_of_trusted_pixels() -> None:
    slope = slopes(STRAY)
    assert (
        placed(table(), slope, trusted(0)).float().mean() < 0.8
    )  # some by chance: a texel is wide
    slope[trusted(0)] = SLOPE
    assert placed(table(), slope, trusted(0)).all()


def test_pixels_that_do_not_fit_decide_little() -> None:
    evidence = table()
    evidence[::5] = -1000.0
    evidence[::5, 0] = 0.0  # as if a fifth of the pixels showed the atlas' first texel, for sure
    assert placed(evidence, slopes(SLOPE), trusted(0)).all()


def test_windows_of_trusted_pixels_are_left_as_they_are() -> None:
    _, there = window_planes(table(), GRID, slopes(SLOPE), COLUMN < 12)
    assert not there[COLUMN < 8].any()
    assert there[COLUMN >= 12].any(dim=1).all()


def test_a_plane_that_leaves_the_atlas_is_none() -> None:
    planes, there = window_planes(table(), GRID, slopes(6 * SLOPE), trusted(0))
    assert 0 < there.sum() < there.numel()
    assert ((planes.position >= 0) & (planes.position <= 256)).all()


def test_a_few_pixels_are_no_window() -> None:
    grid = PixelGrid(torch.eye(3, dtype=torch.bool))
    evidence, everyone = torch.zeros(3, 4), torch.ones(3, dtype=torch.bool)
    planes, there = window_planes(evidence, grid, torch.zeros(3, 2, 2), everyone)
    assert planes.position.shape == (3, 0, 2)
    assert there.shape == (3, 0)
