"""The light and the UV map as finely as textures of full size need them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tests.models.small_atlas import SIZE, config
from tests.sets import make_set, make_showroom
from uvtex.data import manifest
from uvtex.data.storage import fine_cameras
from uvtex.data.storage.map_files import read_maps
from uvtex.data.store import PairStore
from uvtex.imaging.camera_bank import decode
from uvtex.imaging.compose import linear_from_srgb, srgb_from_linear
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
    assert bank.fine_paint is not None
    assert bank.fine_paint.shape == (2, 2, FINE, FINE)
    middle = slice(FINE // 2 - 10, FINE // 2 + 10)
    for falling in bank.fine[:, :3].float():
        before, after = (falling[:, middle, EDGE + k].median() for k in (-4, 3))
        assert abs(float(before) - 1) < 0.1
        assert abs(float(after) - SHADE) < 0.1


def test_where_there_is_paint_the_light_is_finer_still(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fine_cameras, "LARGEST", FINE // 2)
    bank = PairStore.open(_shaded(tmp_path), config()).bank
    assert bank is not None
    assert bank.fine is not None
    assert bank.fine.shape == (2, 6, FINE // 2, FINE // 2)
    cameras = Cameras(bank)
    middle = slice(FINE // 2 - 10, FINE // 2 + 10)
    for camera in range(2):
        falling, reflected, share = cameras.light(camera)
        assert falling.shape == reflected.shape == (3, FINE, FINE)
        assert share.shape == (1, FINE, FINE)
        before, after = (falling[:, middle, EDGE + k].median() for k in (-2, 1))
        assert abs(float(before) - 1) < 0.1
        assert abs(float(after) - SHADE) < 0.1


def test_views_of_the_networks_size_or_composed_ones_tell_no_finer_light(tmp_path: Path) -> None:
    for folder in (make_set(tmp_path / "set"), make_showroom(tmp_path / "plates")):
        bank = PairStore.open(folder, config()).bank
        assert bank is not None
        assert bank.fine is None
        assert bank.fine_paint is None
        assert bank.detail is None


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
