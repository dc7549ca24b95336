"""Shots that moved, for the benchmark of what is taken for paint."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from click.testing import CliRunner
from PIL import Image

from benchmarks.moved_shots import kinds, main, shot
from uvtex.imaging.registration.edges import edge_reference, move_between
from uvtex.imaging.registration.similarity import displacement
from uvtex.intake.map_finding.camera_views import resized
from uvtex.showroom.build import build
from uvtex.showroom.settings import ShowroomSettings


def test_a_shot_lies_off_as_it_was_told() -> None:
    grain = np.random.default_rng(0).integers(0, 256, (24, 24, 3)).astype(np.uint8)
    view = grain.repeat(8, axis=0).repeat(8, axis=1)
    move = torch.tensor([0.03, -0.04, 0.02, 0.0], dtype=torch.float64)
    still, moved = (_tensor(shot(view, some, 96)) for some in (0 * move, move))
    assert np.array_equal(still.permute(1, 2, 0), resized(view, (96, 96)))
    found = move_between(edge_reference([still]), moved.float())
    assert float(displacement(found - move)) * 48 < 0.3
    assert shot(view, move, 120).size == (120, 120)


def test_the_median_of_the_moves_is_no_move() -> None:
    for _, moves, _ in kinds(15):
        assert float(moves.median(dim=0).values.abs().max()) < 1e-9
    assert any(moves.any() for _, moves, _ in kinds(15))


def test_all_kinds_are_measured(tmp_path: Path) -> None:
    sizes = {"size": 96, "texture_size": 48, "cameras": 1, "liveries": 8}
    build(ShowroomSettings(**sizes, samples=4, supersample=1), tmp_path / "set")
    told = CliRunner().invoke(main, [str(tmp_path / "set"), "--size", "48"])
    assert told.exit_code == 0, told.output
    rows = [line for line in told.output.splitlines() if line.startswith("| ")]
    assert len(rows) == 2 + len(kinds(8))


def test_a_folder_that_is_no_set_is_told(tmp_path: Path) -> None:
    told = CliRunner().invoke(main, [str(tmp_path)])
    assert told.exit_code == 1
    assert "no manifest.json there" in told.output


def _tensor(picture: Image.Image) -> torch.Tensor:
    return torch.from_numpy(np.asarray(picture).copy()).permute(2, 0, 1)
