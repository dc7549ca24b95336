"""The better parts of several maps: whole areas change, and single pixels do not."""

import torch
from torch import Tensor

from uvtex.imaging.map_estimation.belief import JUMP, Labels, fused
from uvtex.imaging.map_estimation.pixel_grid import PixelGrid

SIDE, TOLERANCE = 16, 3.0
GRID = PixelGrid(torch.ones(SIDE, SIDE, dtype=torch.bool))
SLOPE = torch.tensor([[4.0, 0.0], [0.0, 4.0]])
ROW, COLUMN = GRID.points.unbind(dim=1)
AREA = (ROW >= 4) & (ROW < 12) & (COLUMN >= 4) & (COLUMN < 12)
BORDER = 4 * 8


def one_map(shifted: Tensor, evidence: Tensor) -> Labels:
    """A plane, of which the ``shifted`` pixels lie 60 units off."""
    position = GRID.points.flip(1) * 4.0 + 60.0 * shifted[:, None]
    return Labels(evidence, position, SLOPE.expand(SIDE**2, 2, 2))


def none() -> Tensor:
    return torch.zeros(SIDE**2)


def moved(lead: float) -> bool:
    """Whether the area moves to a place that each of its 64 pixels has that lead for."""
    plane, other = torch.zeros_like(AREA), one_map(AREA, none())
    found = fused([one_map(plane, -lead * AREA.float()), other], GRID, TOLERANCE)
    there = torch.equal(found.position, other.position)
    assert there or torch.equal(found.position, one_map(plane, none()).position)
    return there


def test_an_area_moves_where_the_lead_of_all_its_pixels_pays_its_border() -> None:
    enough = BORDER * JUMP / int(AREA.sum())
    assert enough < JUMP  # no pixel alone would pay
    assert moved(1.1 * enough)
    assert not moved(0.9 * enough)


def test_each_map_gives_the_areas_in_which_it_is_right() -> None:
    left = COLUMN < SIDE // 2
    maps = [one_map(wrong, -2.0 * wrong.float()) for wrong in (AREA & left, AREA & ~left)]
    found = fused(maps, GRID, TOLERANCE)
    assert torch.equal(found.position, one_map(torch.zeros_like(AREA), none()).position)
    assert found.evidence.sum() == 0


def test_pixels_that_are_not_neighbours_choose_alone() -> None:
    apart = PixelGrid(torch.eye(4, dtype=torch.bool))
    lead = torch.tensor([1.0, -1.0, 2.0, -3.0])
    slope = SLOPE.expand(4, 2, 2)
    maps = [
        Labels(part, torch.full((4, 2), place), slope)
        for part, place in ((0 * lead, 1.0), (lead, 9.0))
    ]
    found = fused(maps, apart, TOLERANCE)
    assert found.position[:, 0].tolist() == [9.0, 1.0, 9.0, 1.0]
