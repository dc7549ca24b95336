"""Shots of a camera that moved a little, or that wrote pictures of other sizes: what is paint."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from scipy import ndimage

from tests.imaging.map_estimation.made_camera import true_map
from tests.intake.made_photos import photo_set
from uvtex.data import manifest
from uvtex.imaging.map_estimation.registration import moved, register
from uvtex.intake.map_finding.find import find_maps
from uvtex.intake.map_finding.report import MapsReport

CAR, WHOLE, EDGE = 56, 88, 8
"""Sides of the part with the car and of the picture, and pixels that a shift may uncover."""


def _backdrop(wall: float = 0.5) -> np.ndarray:
    """A plain wall, a floor with grain: uint8 [h, w, 3], EDGE pixels more around than a picture.

    Args:
        wall: its share of the height.
    """
    grain = np.random.default_rng(0).normal(0, 1, (WHOLE + 2 * EDGE, WHOLE + 2 * EDGE, 1))
    soft = ndimage.gaussian_filter(grain, (0.7, 0.7, 0))
    soft[: int(wall * len(soft))] = 0
    scene: np.ndarray = (110 + 40 * soft / soft.std()).clip(0, 255).repeat(3, axis=2)
    return scene.astype(np.uint8)


def _shots(folder: Path, moves: np.ndarray, sides: list[int]) -> Path:
    """A set whose views stand before the backdrop, moved and resized.

    Args:
        moves: float [L, 3], to the right and down in pixels, and the scale less 1.
    """
    photo_set(folder, liveries=len(sides), side=CAR)
    away = (WHOLE - CAR) // 2 + EDGE
    for livery, ((right, down, growth), side) in enumerate(zip(moves, sides, strict=True)):
        path = folder / f"views/{livery}-0.png"
        picture = Image.fromarray(_backdrop())
        picture.paste(Image.open(path), (away, away))
        scale, middle = 1 / (1 + growth), picture.width / 2
        stays = middle * (1 - scale)
        lies = (scale, 0, stays - scale * right, 0, scale, stays - scale * down)
        shot = picture.transform(
            picture.size, Image.Transform.AFFINE, lies, Image.Resampling.BICUBIC
        )
        shot = shot.crop((EDGE, EDGE, EDGE + WHOLE, EDGE + WHOLE))
        shot.resize((side, side), Image.Resampling.LANCZOS).save(path)
    return folder


def _moves() -> np.ndarray:
    generator = np.random.default_rng(1)
    shifts = generator.normal(0, 1.2, (12, 2)).clip(-3, 3)
    return np.hstack([shifts, generator.uniform(-0.03, 0.03, (12, 1))])


@pytest.fixture(scope="module")
def scaled(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, MapsReport]:
    """The folder of a set of shifted and scaled shots, and of its maps; and what was told."""
    folder = tmp_path_factory.mktemp("scaled")
    return folder, find_maps(_shots(folder / "set", _moves(), [WHOLE] * 12), folder / "out")


def _check_paint(folder: Path, report: MapsReport) -> None:
    assert report.cameras[0].liveries == 12
    record = manifest.read(folder / "out").records[0]
    with Image.open(folder / "out" / str(record.mask)) as file:
        painted = np.asarray(file.convert("L")) > 127
    truth = np.isfinite(true_map(CAR).numpy()[..., 0]).sum() / WHOLE**2
    assert 0.95 * truth < painted.mean() < 1.25 * truth


@pytest.mark.parametrize("how", ["shifts", "sizes"])
def test_edges_of_the_backdrop_are_not_paint(tmp_path: Path, how: str) -> None:
    moves, sides = _moves(), [WHOLE] * 12
    if how == "sizes":
        moves, sides = np.zeros((12, 3)), [(WHOLE, 112, 136)[k % 3] for k in range(12)]
    else:
        moves[:, 2] = 0
    report = find_maps(_shots(tmp_path / "set", moves, sides), tmp_path / "out")
    _check_paint(tmp_path, report)


def test_nor_are_those_of_shots_at_other_scales(scaled: tuple[Path, MapsReport]) -> None:
    _check_paint(*scaled)


def test_views_are_written_in_one_place_and_at_one_scale(scaled: tuple[Path, MapsReport]) -> None:
    folder, report = scaled
    assert any("resized by up to" in note for note in report.cameras[0].notes)
    off = []
    for name in ("set", "out"):
        views = [folder / name / record.view for record in manifest.read(folder / name).records]
        floors = np.stack([np.asarray(Image.open(path))[-20:-5, 5:-5] for path in views])
        off.append(floors.astype(float).std(axis=0).mean())
    assert off[1] < 0.4 * off[0]


def test_moves_are_measured() -> None:
    moves = _moves()
    moves -= np.median(moves, axis=0)
    moves[:6] = 0
    scene = torch.from_numpy(_backdrop(wall=0)).permute(2, 0, 1)
    found = register(torch.stack([_away(scene, move) for move in torch.tensor(moves).float()]))
    off = found.numpy() - moves
    assert np.abs(off[:, :2]).max() < 0.2
    assert np.abs(off[:, 2]).max() * WHOLE / 2 < 0.3
    assert not found[:6].any()


def test_a_still_camera_is_not_moved(tmp_path: Path) -> None:
    folder = _shots(tmp_path / "set", np.zeros((12, 3)), [WHOLE] * 12)
    views = [np.asarray(Image.open(folder / r.view)) for r in manifest.read(folder).records]
    assert not register(torch.from_numpy(np.stack(views)).permute(0, 3, 1, 2)).any()


def _away(scene: torch.Tensor, move: torch.Tensor) -> torch.Tensor:
    """A view that lies off by ``move``."""
    scale = 1 / (1 + move[2])
    back = torch.stack([-move[0] * scale, -move[1] * scale, scale - 1])
    return moved(scene, back)[:, EDGE:-EDGE, EDGE:-EDGE]
