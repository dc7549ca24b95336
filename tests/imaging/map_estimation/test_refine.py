"""The refinement in tiles: as good as in one piece, and every pixel once."""

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.imaging.map_estimation.made_camera import made_camera
from uvtex.imaging.map_estimation import refine as module
from uvtex.imaging.map_estimation.footprints import local_slopes
from uvtex.imaging.map_estimation.levels import Level, level_of
from uvtex.imaging.map_estimation.light_line import LightPrior
from uvtex.imaging.map_estimation.pixel_grid import PixelGrid
from uvtex.imaging.map_estimation.refine import refine, tiles_of


def test_tiles_keep_every_pixel_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TILE", 5)
    grid = PixelGrid(torch.rand(23, 17, generator=torch.Generator().manual_seed(0)) < 0.7)
    tiles = tiles_of(grid)
    kept = np.concatenate([tile.members[tile.own] for tile in tiles])
    assert len(tiles) == 20
    assert sorted(kept) == list(range(len(grid.points)))


def test_tiles_find_what_one_piece_finds(monkeypatch: pytest.MonkeyPatch) -> None:
    camera = made_camera(8, side=56, texels=64)
    painted = torch.isfinite(camera.uv[..., 0])
    level = level_of(*camera.pairs(), painted, 1.0)
    truth = camera.uv[painted] * 256
    truth[:, 1] = 256 - truth[:, 1]
    start = truth + torch.randn(truth.shape, generator=torch.Generator().manual_seed(1))

    def error(found: Tensor) -> Tensor:
        return (found - truth).norm(dim=1).median()

    whole, spread = refined(level, start)
    monkeypatch.setattr(module, "TILE", 16)
    tiled, tiled_spread = refined(level, start)
    assert error(whole) < 0.2 * error(start)
    assert (tiled - whole).norm(dim=1).median() < 0.1 * error(whole)
    ratio = tiled_spread.deviation() / spread.deviation()
    assert 0.95 < ratio.median() < 1.05


def refined(level: Level, start: Tensor) -> tuple[Tensor, module.Spread]:
    slope = local_slopes(start, level.grid)
    prior = LightPrior.of_showrooms()
    return refine(start, slope, level.seen, level.grid, 0.004, prior, bend=0.5, rounds=5)
