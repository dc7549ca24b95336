"""The light and the UV map as finely as textures of full size need them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tests.models.small_atlas import SIZE, config
from tests.sets import make_set, make_showroom
from uvtex.data import manifest
from uvtex.data.found_maps import MAPS
from uvtex.data.storage import fine_cameras
from uvtex.data.storage.map_files import read_maps, resampled, smoothed, without_gaps
from uvtex.data.store import PairStore
from uvtex.imaging.camera_bank import decode
from uvtex.imaging.compose import linear_from_srgb, srgb_from_linear
from uvtex.imaging.uv_maps import read_uv_map
from uvtex.models.cameras import Cameras

FINE = 4 * SIZE
EDGE, SHADE = 70, 0.3
"""Columns from EDGE on have only SHADE of the light."""


def _shaded(folder: Path) -> Path:
    """A set of FINE pixels in a light whose edge lies within a pixel of the network."""
    made = make_set(folder, 12, 2, FINE)
    for path in (made / "views").iterdir():
        with Image.open(path) as file:
            view = torch.tensor(np.asarray(file)).float() / 255
        light = linear_from_srgb(view)
        light[:, EDGE:] *= SHADE
        pixels = (srgb_from_linear(light) * 255).round().byte().numpy()
        Image.fromarray(pixels).save(path)
    return made


def test_views_larger_than_the_networks_tell_a_finer_light(tmp_path: Path) -> None:
    store = PairStore.open(_shaded(tmp_path), config())
    views = [record.view for record in manifest.read(tmp_path).records]
    for sample in store.val:  # only training views may be read
        (tmp_path / views[sample]).unlink()
    bank = store.bank
    assert bank is not None
    assert bank.fine is not None
    assert bank.fine.shape == (2, 6, FINE, FINE)
    middle = slice(FINE // 2 - 10, FINE // 2 + 10)
    for falling in bank.fine[:, :3].float():
        before, after = (falling[:, middle, EDGE + k].median() for k in (-4, 3))
        assert abs(float(before) - 1) < 0.1
        assert abs(float(after) - SHADE) < 0.1


@pytest.mark.parametrize("finest", [FINE, FINE - 20])
def test_where_there_is_paint_light_and_map_are_finer_still(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, finest: int
) -> None:
    monkeypatch.setattr(fine_cameras, "LARGEST", FINE // 2)
    monkeypatch.setattr(fine_cameras, "FINEST", finest)
    bank = PairStore.open(_shaded(tmp_path), config()).bank
    assert bank is not None
    assert bank.fine is not None
    assert bank.fine.shape == (2, 6, FINE // 2, FINE // 2)
    cameras = Cameras(bank)
    middle = slice(finest // 2 - 10, finest // 2 + 10)
    edge = EDGE * finest / FINE
    maps = [record.uv_map for record in manifest.read(tmp_path).records]
    for camera in range(2):
        paint, falling, reflected, share = cameras.finest(camera)
        assert falling.shape == reflected.shape == (3, finest, finest)
        assert share.shape == (1, finest, finest)
        before, after = (falling[:, middle, int(edge + k)].median() for k in (-2, 2))
        assert abs(float(before) - 1) < 0.1
        assert abs(float(after) - SHADE) < 0.1
        uv = read_uv_map(tmp_path / str(maps[camera]))
        found, true = decode(paint), resampled(uv, finest)
        assert np.array_equal(np.isnan(found), np.isnan(true))
        assert np.nanmax(np.abs(found - true)) < 1e-4


def test_the_finest_map_is_that_of_the_stiffness_asked_for(tmp_path: Path) -> None:
    folder = _shaded(tmp_path)
    maps = [folder / str(record.uv_map) for record in manifest.read(folder).records]
    for path in set(maps):
        uv = read_uv_map(path)
        np.savez(path, **{"uv": uv, "uv@8": uv * np.float32(0.5)})
    first = resampled(read_uv_map(maps[0]), FINE)
    told = {"used": [], "split": {}, "cameras": [], "stiffness": [1, 8]}
    (folder / MAPS).write_text(json.dumps(told))
    for stiffness, scale in ((1.0, 1.0), (8.0, 0.5)):
        bank = PairStore.open(folder, config()).taught_by(stiffness).bank
        assert bank is not None
        found = decode(Cameras(bank).finest(0).paint)
        assert np.nanmax(np.abs(found - scale * first)) < 1e-4


def test_views_of_the_networks_size_or_composed_ones_tell_no_finer_light(tmp_path: Path) -> None:
    for folder in (make_set(tmp_path / "set"), make_showroom(tmp_path / "plates")):
        bank = PairStore.open(folder, config()).bank
        assert bank is not None
        assert bank.fine is None
        assert bank.fine_paint is None


def test_a_subsampled_map_is_not_moved(tmp_path: Path) -> None:
    """A map of an even multiple of the samples has its new samples between the old ones."""
    at = (np.arange(8 * SIZE) + 0.5) / (8 * SIZE)
    u, v = np.meshgrid(0.1 + 0.3 * at, 0.9 - 0.3 * at)
    u[:, 5 * SIZE :] += 0.4  # another panel
    uv = np.stack([u, v], axis=2).astype(np.float32)
    uv[: SIZE + 1] = np.nan
    np.savez(tmp_path / "0.npz", uv=uv)
    maps, _ = read_maps(tmp_path, ["0.npz"], SIZE, torch.device("cpu"), 1)
    assert maps is not None
    found = decode(maps.paint[0])
    new = (np.arange(FINE) + 0.5) / FINE
    true = 0.1 + 0.3 * new + 0.4 * (np.arange(FINE) >= 5 * SIZE // 2)
    rows = slice(SIZE // 2 + 2, None)
    off = np.abs(found[rows, :, 0] - true)
    assert off.max() < 1e-4
    assert np.isfinite(found[SIZE // 2 + 2 :]).all()
    assert np.isnan(found[: SIZE // 2]).all()


@pytest.mark.parametrize(("sure", "most"), [(0.9, 0.6), (1.0, None)])
def test_found_maps_are_smoothed_and_exact_ones_are_not(
    tmp_path: Path, sure: float, most: float | None
) -> None:
    folder = _shaded(tmp_path)
    path = folder / str(manifest.read(folder).records[0].uv_map)
    true = 0.2 + 0.2 * read_uv_map(path)  # samples that lie as close as those of real maps
    scatter = np.random.default_rng(0).normal(0, 5e-4, true.shape).astype(np.float32)
    scattered = true + scatter
    np.savez(path, uv=scattered, confidence=np.full(true.shape[:2], sure, np.float32))
    bank = PairStore.open(folder, config()).bank
    assert bank is not None
    found = decode(Cameras(bank).finest(0).paint)
    if most is None:
        assert np.nanmax(np.abs(found - scattered)) < 1e-4
    else:
        off, before = (np.nanmean(np.abs(x - true)) for x in (found, scattered))
        assert off < most * before


def test_gaps_within_a_panel_are_closed_and_those_between_panels_stay() -> None:
    at = (np.arange(90) + 0.5) / 90
    u, v = np.meshgrid(0.1 + 0.2 * at, 0.9 - 0.2 * at)
    u[:, 60:] += 0.4  # another panel
    whole = np.stack([u, v], axis=2).astype(np.float32)
    torn = whole.copy()
    torn[10:13, 10:13] = torn[30:32, 40] = np.nan
    torn[:, 59:61] = torn[70:80, 20:30] = np.nan
    closed = without_gaps(torn)
    assert np.abs(closed - whole)[:13, :59].max() < 1e-5
    assert np.abs(closed - whole)[30:32, 40].max() < 1e-5
    assert np.isnan(closed[:, 59:61, 0]).all()
    assert np.isnan(closed[70:80, 20:30, 0]).all()
    assert np.isnan(torn[11, 11, 0])


def test_a_map_is_smoothed_within_its_panels() -> None:
    at = (np.arange(90) + 0.5) / 90
    u, v = np.meshgrid(0.1 + 0.2 * at, 0.9 - 0.2 * at)
    u[:, 60:] += 0.4  # another panel
    plane = np.stack([u, v], axis=2).astype(np.float32)
    plane[:5] = np.nan
    assert np.nanmax(np.abs(smoothed(plane) - plane)) < 1e-6
    rough = plane + np.random.default_rng(0).normal(0, 5e-4, plane.shape).astype(np.float32)
    off = np.abs(smoothed(rough) - plane)
    assert np.nanmean(off) < 0.4 * np.nanmean(np.abs(rough - plane))
    assert np.nanmax(off[:, 55:65]) < 0.01
    assert np.array_equal(np.isnan(off), np.isnan(plane))
