"""Metrics of each sample."""

from __future__ import annotations

import shutil
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from uvtex.config import resolve
from uvtex.data import manifest
from uvtex.data.batch import Pair
from uvtex.data.store import PairStore
from uvtex.evaluation.measure import mean_colour, measure, samples, texel_masks
from uvtex.metrics.per_sample import ssim_columns, term_columns, texture_columns
from uvtex.models import CameraCode, CameraEstimate, Predictor, Renderer, build
from uvtex.models.forward import Outputs
from uvtex.showroom.cars.mesh import grid
from uvtex.showroom.cars.seam_edges import write
from uvtex.training.losses import terms

SETTINGS = {"image_size": 32, "width": 0.1, "val_split": 0.34, "device": "cpu"}


def test_the_terms_of_a_sample_equal_those_of_a_batch_with_that_sample_alone() -> None:
    torch.manual_seed(0)
    images = torch.rand(10, 3, 3, 16, 16) * 2 - 1
    masks = (torch.rand(2, 3, 1, 16, 16) > 0.4).float()
    masks[0, 1] = 0  # nothing of the car is seen
    pair, out = Pair(*images[:3], *masks), Outputs(*images[3:])
    columns = term_columns(pair, out)
    for i in range(3):
        alone = terms(_one(pair, i), _one(out, i))
        assert {name: float(column[i]) for name, column in columns.items()} == pytest.approx(
            {name: float(value) for name, value in alone.items()}, abs=1e-6
        )


def _one(whole: Any, i: int) -> Any:
    parts = {f.name: getattr(whole, f.name) for f in fields(whole)}
    return type(whole)(**{k: None if v is None else v[i : i + 1] for k, v in parts.items()})


def test_a_measured_metric_is_the_mean_of_the_samples(tiny_set: Path) -> None:
    config = resolve(SETTINGS)
    store = PairStore.open(tiny_set, config)
    networks = build(config, None)
    columns = samples(*networks, store, config, None)
    assert {len(column) for column in columns.values()} == {len(store.val)}
    means = {name: float(column.nanmean()) for name, column in columns.items()}
    assert measure(*networks, store, config, None) == pytest.approx(means)
    assert columns["ssim_uv"].std() > 0  # one value for each sample, not their mean


ALWAYS = {
    *("ssim_uv", "l1_uv", "ssim_view", "ssim_view_true", "ssim_view_noisy"),
    *("ssim_view_inside", "ssim_view_true_inside", "ssim_view_noisy_inside"),
    *("haarpsi_view", "haarpsi_view_true", "bleed"),
}
BY_MAPS = {
    *("ssim_uv_visible", "ssim_uv_visible_alone", "l1_uv_visible"),
    *("ssim_uv_covered", "l1_uv_covered"),
    *("bleed_border", "bleed_2px", "bleed_4px", "bleed_8px", "bleed_towards", "coverage"),
}


def measured(folder: Path, **settings: Any) -> dict[str, float]:
    config = resolve(SETTINGS | settings)
    store = PairStore.open(folder, config)
    torch.manual_seed(0)
    return measure(*build(config, None), store, config, None)


def with_seams(folder: Path, tiny_set: Path) -> Path:
    """``tiny_set`` with the seams of a tube: the left edge of the atlas meets the right edge."""
    shutil.copytree(tiny_set, folder)
    angle, height = np.meshgrid(np.linspace(0, 2 * np.pi, 13), np.linspace(0, 3, 4))
    round_about = np.stack([np.cos(angle), np.sin(angle), height], -1)
    write(folder, grid(round_about, np.stack([angle / (2 * np.pi), height / 3], -1)))
    return folder


def test_the_measured_metrics_depend_on_the_files_of_the_set(
    tiny_set: Path, tmp_path: Path
) -> None:
    seamed = with_seams(tmp_path / "seamed", tiny_set)
    values = measured(seamed)
    assert values.keys() >= ALWAYS | BY_MAPS | {"seam_uv"}
    assert np.isfinite([*values.values()]).all()
    without = measured(tiny_set)
    assert values.keys() - without.keys() == {"seam_uv"}
    assert {name: values[name] for name in without} == without
    mapless = tmp_path / "mapless"
    shutil.copytree(seamed, mapless)
    records = manifest.read(mapless).records
    manifest.write(mapless, [r.model_copy(update={"uv_map": None}) for r in records])
    assert without.keys() - measured(mapless).keys() == BY_MAPS


class _Perfect(Predictor):
    """Predicts the given texture for every view."""

    def __init__(self, answer: Tensor) -> None:
        super().__init__()
        self.answer = answer

    def predict(self, view: Tensor) -> tuple[Tensor, None]:
        return self.answer.expand(len(view), -1, -1, -1), None


class _Broken(_Perfect):
    """Predicts NaN for one view of a batch. A mean over the other views would hide it."""

    def predict(self, view: Tensor) -> tuple[Tensor, None]:
        out = super().predict(view)[0].clone()
        out[0] = torch.nan
        return out, None


class _Same(Renderer):
    """Returns the texture as the view."""

    def forward(self, texture: Tensor, camera: CameraEstimate | CameraCode | None = None) -> Tensor:
        return texture


def test_the_true_texture_gets_the_best_value_of_each_metric(
    tiny_set: Path, tmp_path: Path
) -> None:
    config = resolve(SETTINGS | {"val_split": 0.17})  # one livery of six
    store = PairStore.open(with_seams(tmp_path / "seamed", tiny_set), config)
    (batch,) = store.batches("val", 8)
    truth = _Perfect(batch.pair.texture[:1])
    values = measure(truth, _Same(), store, config, None)
    for name in ("ssim_uv", "ssim_uv_covered", "ssim_uv_visible"):
        assert values[name] == pytest.approx(1, abs=1e-4)
    for name in ("seam_uv", "bleed", "bleed_border", "bleed_2px", "bleed_4px"):
        assert values[name] == 0
    assert "bleed_towards" not in values  # nothing changes, so the metric is left out
    assert values["ssim_view_inside"] < 0.7  # a texture is no picture of the car


def test_nan_of_a_network_appears_in_the_metrics(tiny_set: Path) -> None:
    config = resolve(SETTINGS)
    store = PairStore.open(tiny_set, config)
    broken = _Broken(torch.zeros(1, 3, 32, 32))
    values = measure(broken, _Same(), store, config, None)
    assert values.keys() >= ALWAYS | BY_MAPS
    assert np.isnan([values[name] for name in ("direct", "ssim_uv", "bleed")]).all()


def test_covered_metrics_use_only_texels_that_a_camera_sees(tiny_set: Path) -> None:
    store = PairStore.open(tiny_set, resolve(SETTINGS))
    atlas = texel_masks(store)
    assert atlas.covered is not None
    assert 0.3 < float(atlas.covered.float().mean()) < 0.99
    (batch,) = store.batches("val", 8)
    true = batch.pair.texture
    wrong_outside = torch.where(atlas.covered, true, -true)
    columns = texture_columns(batch, wrong_outside, atlas)
    assert columns["l1_uv_covered"].tolist() == [0] * len(true)
    assert (columns["l1_uv"] > 0).all()
    wrong_inside = texture_columns(batch, torch.where(atlas.covered, -true, true), atlas)
    assert (wrong_inside["l1_uv_covered"] > columns["l1_uv"]).all()
    assert (wrong_inside["ssim_uv_covered"] < columns["ssim_uv_covered"]).all()


def test_inside_metrics_ignore_the_background() -> None:
    torch.manual_seed(0)
    true, bad = (torch.rand(2, 3, 48, 48) * 2 - 1 for _ in range(2))
    mask = torch.zeros(2, 1, 48, 48)
    mask[..., 16:32, 16:32] = 1
    columns = ssim_columns("view", bad, true, mask)
    assert (columns["ssim_view"] > 0.6).all()
    assert (columns["ssim_view_inside"] < 0.2).all()
    painted = ssim_columns("view", torch.where(mask > 0, true, bad), true, mask)
    assert painted["ssim_view_inside"].tolist() == pytest.approx([1, 1])


def test_the_mean_colour_baseline_is_measured_over_the_same_texels(
    tiny_set: Path, tmp_path: Path
) -> None:
    values = mean_colour(with_seams(tmp_path / "seamed", tiny_set), resolve(SETTINGS))
    assert values.keys() == {
        *("ssim_uv", "l1_uv", "ssim_uv_visible", "l1_uv_visible"),
        *("ssim_uv_visible_alone", "ssim_uv_covered", "l1_uv_covered", "seam_uv", "coverage"),
    }
    assert values["seam_uv"] == pytest.approx(0, abs=1e-9)  # one colour has no seam
