"""Shots of a camera that moved a little, or that wrote pictures of other sizes: what is paint."""

from __future__ import annotations

import io
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from scipy import ndimage

from tests.imaging.map_estimation.made_camera import true_map
from tests.intake.made_photos import photo_set
from uvtex.data import manifest
from uvtex.imaging.compose import linear_from_srgb, srgb_from_linear
from uvtex.imaging.registration.shots import register
from uvtex.imaging.registration.similarity import displacement, inverse, picture_back
from uvtex.intake.map_finding.alignment import aligned
from uvtex.intake.map_finding.camera_views import TextureReader, read_camera
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
        moves: float [L, 4], as :mod:`uvtex.imaging.registration.similarity` tells them.
    """
    photo_set(folder, liveries=len(sides), side=CAR)
    away = (WHOLE - CAR) // 2 + EDGE
    for livery, (move, side) in enumerate(zip(moves, sides, strict=True)):
        path = folder / f"views/{livery}-0.png"
        picture = Image.fromarray(_backdrop())
        picture.paste(Image.open(path), (away, away))
        away_from_it = _away(np.asarray(picture), move)
        Image.fromarray(away_from_it).resize((side, side), Image.Resampling.LANCZOS).save(path)
    return folder


def _moves() -> np.ndarray:
    generator = np.random.default_rng(1)
    shifts = generator.normal(0, 2.4 / WHOLE, (12, 2)).clip(-6 / WHOLE, 6 / WHOLE)
    turns = np.radians(generator.uniform(-2, 2, (12, 1)))
    return np.hstack([shifts, generator.uniform(-0.03, 0.03, (12, 1)), turns])


def _away(scene: np.ndarray, move: np.ndarray) -> np.ndarray:
    """A view of a scene uint8 [h, w, 3] with EDGE pixels more, that lies off by ``move``."""
    unit = torch.tensor([WHOLE / len(scene)] * 2 + [1.0] * 2, dtype=torch.float64)
    moved = picture_back(scene, inverse(torch.from_numpy(move) * unit))
    return moved[EDGE:-EDGE, EDGE:-EDGE]


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
        moves, sides = np.zeros((12, 4)), [(WHOLE, 112, 136)[k % 3] for k in range(12)]
    else:
        moves[:, 2:] = 0
    report = find_maps(_shots(tmp_path / "set", moves, sides), tmp_path / "out")
    _check_paint(tmp_path, report)


def test_nor_are_those_of_shots_at_other_scales(scaled: tuple[Path, MapsReport]) -> None:
    _check_paint(*scaled)


def test_views_are_written_in_one_place_and_at_one_scale(scaled: tuple[Path, MapsReport]) -> None:
    folder, report = scaled
    notes = " ".join(report.cameras[0].notes)
    assert "resized by up to" in notes
    assert "turned by up to" in notes
    off = []
    for name in ("set", "out"):
        views = [folder / name / record.view for record in manifest.read(folder / name).records]
        floors = np.stack([np.asarray(Image.open(path))[-20:-5, 5:-5] for path in views])
        off.append(floors.astype(float).std(axis=0).mean())
    assert off[1] < 0.4 * off[0]


def test_shots_that_lie_off_are_brought_together(tmp_path: Path) -> None:
    """In the written set all lie in one place again, and the others stay as they were.

    The records keep their order, also where a view becomes a PNG file.
    """
    moves = np.zeros((12, 4))
    moves[1, 1], moves[4, 0], moves[7] = 2 / WHOLE, -4 / WHOLE, (2 / WHOLE, 4 / WHOLE, 0.02, 0.03)
    folder = _shots(tmp_path / "set", moves, [WHOLE] * 12)
    records = list(manifest.read(folder).records)
    path = folder / "views/7-0.png"
    path.rename(path.with_suffix(".bmp"))  # a picture's name need not tell its format
    records[7] = records[7].model_copy(update={"view": "views/7-0.bmp"})
    shutil.copy(folder / "views/6-0.png", path)  # a view of another livery with such a name
    records[6] = records[6].model_copy(update={"view": "views/7-0.png"})
    manifest.write(folder, records)
    (camera,) = find_maps(folder, tmp_path / "out").cameras
    assert any("3 of 12 views were moved" in note for note in camera.notes)
    assert camera.known > 0.6
    written = manifest.read(tmp_path / "out").records
    assert [record.livery for record in written] == [record.livery for record in records]
    assert len({record.view for record in written}) == len(records)
    still = _shots(tmp_path / "still", np.zeros((12, 4)), [WHOLE] * 12)
    inner = (slice(8, -8), slice(8, -8))
    for livery in range(12):
        back, moved, true = (
            np.asarray(Image.open(path)).astype(float)[inner]
            for path in (
                tmp_path / "out" / written[livery].view,
                folder / records[livery].view,
                still / f"views/{livery}-0.png",
            )
        )
        assert abs(back - true).mean() <= 0.2 * abs(moved - true).mean()


def test_moves_are_measured() -> None:
    moves = _moves()
    moves -= np.median(moves, axis=0)
    moves[:6] = 0
    found, scene = register(_views(moves))
    off = displacement(found - torch.from_numpy(moves)) * WHOLE / 2
    assert float(off.max()) < 0.1
    assert not found[:6].any()
    late = torch.tensor([0.03, -0.02, 0.01, 0.02], dtype=torch.float64)
    (view,) = _views(late.numpy()[None])
    assert float(displacement(scene.move_of(view) - late)) * WHOLE / 2 < 0.2
    assert not scene.move_of(_views(np.zeros((1, 4)))[0]).any()


def test_a_view_without_a_part_in_the_map_is_brought_there_too(tmp_path: Path) -> None:
    """It lies off, and was taken with another exposure, as some of the others were."""
    moves, factors = _moves(), np.linspace(0.8, 1.25, 12)
    moves -= np.median(moves[:11], axis=0)
    folder = _shots(tmp_path / "set", moves, [WHOLE] * 12)
    records = manifest.read(folder).records
    for record, factor in zip(records, factors, strict=True):
        view = torch.from_numpy(np.asarray(Image.open(folder / record.view)).copy())
        light = linear_from_srgb(view / 255) * factor
        shot = (srgb_from_linear(light) * 255).round().byte().numpy()
        Image.fromarray(shot).save(folder / record.view)
    read = read_camera(folder, records[:11], WHOLE, TextureReader(folder, 32))
    assert read is not None
    _, alignment = aligned(read, folder)
    found = alignment.of(folder, records[11])
    off = torch.tensor(found.move, dtype=torch.float64) - torch.from_numpy(moves[11])
    assert float(displacement(off)) * WHOLE / 2 < 0.5
    assert np.allclose(found.exposure, np.log(factors[11] / np.median(factors[:11])), atol=0.03)


def test_three_shots_are_enough() -> None:
    moves = 2 * _moves()[:3]
    found, _ = register(_views(moves))
    off = found - torch.from_numpy(moves)
    assert float(displacement(off - off[0]).max()) * WHOLE / 2 < 0.3


def test_a_still_camera_is_not_moved(tmp_path: Path) -> None:
    folder = _shots(tmp_path / "set", np.zeros((12, 4)), [WHOLE] * 12)
    assert not register(_set_views(folder))[0].any()


@pytest.mark.parametrize("quality", [None, 90, 75])
def test_nor_is_one_whose_pictures_show_paint_alone(tmp_path: Path, quality: int | None) -> None:
    folder = photo_set(tmp_path / "set", liveries=10, side=CAR)
    assert not register(_set_views(folder, quality))[0].any()


def _views(moves: np.ndarray) -> torch.Tensor:
    """Views of the backdrop, uint8 [L, 3, h, w]."""
    scene = _backdrop(wall=0)
    views = np.stack([_away(scene, move) for move in moves])
    return torch.from_numpy(views).permute(0, 3, 1, 2)


def _set_views(folder: Path, quality: int | None = None) -> torch.Tensor:
    """The views of a set, uint8 [L, 3, h, w], as JPEG files of this quality."""
    views = []
    for record in manifest.read(folder).records:
        picture = Image.open(folder / record.view).convert("RGB")
        if quality is not None:
            file = io.BytesIO()
            picture.save(file, "JPEG", quality=quality)
            picture = Image.open(file)
        views.append(np.asarray(picture))
    return torch.from_numpy(np.stack(views)).permute(0, 3, 1, 2)
