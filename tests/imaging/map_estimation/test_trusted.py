"""Trusted pixels: whom they trust, where their planes lead, and what they say of orientation."""

import torch
from torch import Tensor

from uvtex.imaging.map_estimation.candidates import Candidates
from uvtex.imaging.map_estimation.pixel_grid import PixelGrid
from uvtex.imaging.map_estimation.trusted import Facing, far_planes, trusted_pixels

SIDE = 20
GRID = PixelGrid(torch.ones(SIDE, SIDE, dtype=torch.bool))
SLOPE = torch.tensor([[4.0, 1.0], [-1.0, 3.0]])
MIRRORED = SLOPE @ torch.tensor([[-1.0, 0.0], [0.0, 1.0]])


def plane() -> Tensor:
    """The positions of a map that is one plane, float [P, 2]."""
    return GRID.points.flip(1).float() @ SLOPE.T + torch.tensor([60.0, 80.0])


def slopes() -> Tensor:
    return SLOPE.expand(SIDE**2, 2, 2).clone()


def trusted(evidence: Tensor, other_evidence: Tensor) -> Tensor:
    others = Candidates(plane()[:, None] + 50, slopes()[:, None])
    return trusted_pixels(plane(), slopes(), evidence, others, other_evidence[:, None], 6.0, GRID)


def test_a_pixel_is_trusted_where_no_other_place_explains_it() -> None:
    evidence = torch.full((SIDE**2,), 20.0)
    alike = GRID.points[:, 1] < SIDE // 2  # another place explains these as well
    found = trusted(evidence, torch.where(alike, evidence, 0.0))
    assert not found[alike].any()
    assert found[GRID.points[:, 1] > SIDE // 2 + 2].all()


def test_planes_are_continued_into_a_hole_from_its_border() -> None:
    row, column = GRID.points.unbind(dim=1)
    hole = (row - 10).abs().maximum((column - 10).abs()) <= 4
    position, slope = plane(), slopes()
    position[hole], slope[hole] = 128.0, MIRRORED
    far, there = far_planes(position, slope, ~hole, GRID)
    middle = GRID.number[10, 10]
    assert there[middle].all()
    assert torch.allclose(far.position[middle], plane()[middle].expand(8, 2), atol=0.1)


def test_a_plane_that_leaves_the_atlas_is_none() -> None:
    alone = torch.zeros(SIDE**2, dtype=torch.bool)
    alone[GRID.number[10, 10]] = True
    far, there = far_planes(plane() - 60, slopes(), alone, GRID)
    left = GRID.number[10, 0]
    assert not there[left].any()
    assert there.sum() > 10
    assert ((far.position >= 0) & (far.position <= 256)).all()


def test_a_map_turned_over_is_unlikely_where_the_others_are_not() -> None:
    everyone = torch.ones(SIDE**2, dtype=torch.bool)
    facing = Facing.of(slopes(), everyone)
    assert facing.log_prior(SLOPE) > -0.2
    assert facing.log_prior(MIRRORED) < -10
    assert facing.log_prior(torch.zeros(2, 2)) < -3  # and so is one that has collapsed


def test_either_orientation_is_likely_where_both_occur() -> None:
    both = slopes()
    both[::2] = MIRRORED
    facing = Facing.of(both, torch.ones(SIDE**2, dtype=torch.bool))
    assert (facing.log_prior(SLOPE) - facing.log_prior(MIRRORED)).abs() < 0.1
    larger = facing.enlarged(2.0)
    assert torch.allclose(larger.log_prior(SLOPE / 2), facing.log_prior(SLOPE))
