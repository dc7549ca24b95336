"""Shots that moved, for the benchmark of what is taken for paint."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from click.testing import CliRunner

from benchmarks.moved_shots import kinds, main, shot
from uvtex.imaging.map_estimation.registration import edge_reference, move_between
from uvtex.showroom.build import build
from uvtex.showroom.settings import ShowroomSettings


def test_a_shot_lies_off_as_it_was_told() -> None:
    grain = np.random.default_rng(0).integers(0, 256, (12, 12, 3)).astype(np.uint8)
    view = grain.repeat(8, axis=0).repeat(8, axis=1)
    move = np.array([1.5, -2.0, 0.03])
    planes = [
        np.asarray(picture).transpose(2, 0, 1)
        for picture in (shot(view, np.zeros(3), 1.0), shot(view, move, 1.0))
    ]
    still, moved = (np.ascontiguousarray(x) for x in planes)
    assert np.array_equal(still.transpose(1, 2, 0), view)
    found = move_between(edge_reference([_tensor(still)]), _tensor(moved)).numpy()
    assert np.abs(found[:2] - move[:2]).max() < 0.2
    assert abs(found[2] - move[2]) * 48 < 0.3
    assert shot(view, move, 1.25).size == (120, 120)


def test_the_median_of_the_moves_is_no_move() -> None:
    for _, moves, _ in kinds(16):
        assert np.abs(np.median(moves, axis=0)).max() < 0.5
    assert any(moves.any() for _, moves, _ in kinds(16))


def test_all_kinds_are_measured(tmp_path: Path) -> None:
    sizes = {"size": 48, "texture_size": 48, "cameras": 1, "liveries": 8}
    build(ShowroomSettings(**sizes, samples=4, supersample=1), tmp_path / "set")
    told = CliRunner().invoke(main, [str(tmp_path / "set")])
    assert told.exit_code == 0, told.output
    rows = [line for line in told.output.splitlines() if line.startswith("| ")]
    assert len(rows) == 2 + len(kinds(8))


def test_a_folder_that_is_no_set_is_told(tmp_path: Path) -> None:
    told = CliRunner().invoke(main, [str(tmp_path)])
    assert told.exit_code == 1
    assert "no manifest.json there" in told.output


def _tensor(planes: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(planes.copy())
