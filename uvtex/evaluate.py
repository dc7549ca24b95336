"""A predictor and a renderer measured on the validation side of a data set."""

from __future__ import annotations

import math
from collections import defaultdict
from pathlib import Path

import torch
from torch import Tensor, nn

from uvtex import metrics
from uvtex.config import TrainConfig
from uvtex.data.batch import Batch
from uvtex.data.store import PairStore
from uvtex.device import autocast
from uvtex.losses import Outputs, Pair
from uvtex.passes import forward

BATCH = 32


@torch.no_grad()
def measure(
    predictor: nn.Module,
    renderer: nn.Module,
    data: PairStore,
    config: TrainConfig,
    lpips: metrics.LPIPS | None,
) -> dict[str, float]:
    """Every metric and loss term over the validation side: means of :func:`samples`.

    A sample for which a metric is NaN does not count in it. Both networks are left in evaluation
    mode.
    """
    columns = samples(predictor, renderer, data, config, lpips)
    values = torch.stack([column.nanmean() for column in columns.values()]).tolist()  # one sync
    return dict(zip(columns, values, strict=True))


@torch.no_grad()
def samples(
    predictor: nn.Module,
    renderer: nn.Module,
    data: PairStore,
    config: TrainConfig,
    lpips: metrics.LPIPS | None,
) -> dict[str, Tensor]:
    """Every metric and loss term of every validation sample.

    Returns:
        name -> [N] on the store's device, in the order of ``data.val``; NaN where a metric says
        nothing of a sample, as SSIM over the texels seen does where none is.
    """
    predictor.eval()
    renderer.eval()
    # The noise is the same at every epoch and for every run.
    noise = torch.Generator(data.device).manual_seed(0)
    columns: dict[str, list[Tensor]] = defaultdict(list)
    for batch in data.val_batches(BATCH):
        with autocast(data.device, config.precision):
            out = forward(predictor, renderer, batch.pair)
            shake = torch.randn(out.texture_a.shape, generator=noise, device=data.device)
            noisy = renderer((out.texture_a + shake * (2 * 3 / 255)).clamp(-1, 1))
        for name, column in _columns(batch, out.float32(), noisy.float(), lpips).items():
            columns[name].append(column)
    return {name: torch.cat(parts) for name, parts in columns.items()}


def _columns(
    batch: Batch, out: Outputs, noisy: Tensor, lpips: metrics.LPIPS | None
) -> dict[str, Tensor]:
    pair = batch.pair
    columns = term_columns(pair, out) | texture_columns(batch, out.texture_a)
    # Nobody trains the renderer to paint the background: what it makes of it is not judged.
    view_a, view_b = (
        _over(view, v, m)
        for view, v, m in ((out.view_a, pair.a, pair.mask_a), (out.view_b, pair.b, pair.mask_b))
    )
    true_a, true_b = (
        _over(out.view_true, v, m) for v, m in ((pair.a, pair.mask_a), (pair.b, pair.mask_b))
    )
    noisy_a = _over(noisy, pair.a, pair.mask_a)
    compare = {"ssim": metrics.ssim, "haarpsi": metrics.haarpsi}
    if lpips is not None:
        compare["lpips"] = lpips
    for name, metric in compare.items():
        columns[f"{name}_view"] = (metric(view_a, pair.a) + metric(view_b, pair.b)) / 2
        columns[f"{name}_view_true"] = (metric(true_a, pair.a) + metric(true_b, pair.b)) / 2
    columns["ssim_view_noisy"] = metrics.ssim(noisy_a, pair.a)
    return columns


def term_columns(pair: Pair, out: Outputs) -> dict[str, Tensor]:
    """What :func:`uvtex.losses.terms` gives for each sample as a batch of its own: name -> [B]."""
    direct_a, direct_b = _l1(out.texture_a, pair.texture), _l1(out.texture_b, pair.texture)
    cycle_a = _l1(out.view_a, pair.a, pair.mask_a)
    cycle_b = _l1(out.view_b, pair.b, pair.mask_b)
    return {
        "cycle": (cycle_a + cycle_b) / 2,
        "uv": _l1(out.texture_true, pair.texture),
        "direct": (direct_a + direct_b) / 2,
        "cross": _l1(out.texture_a, out.texture_b),
    }


def texture_columns(batch: Batch, texture: Tensor) -> dict[str, Tensor]:
    """Metrics of a predicted texture [B, 3, S, S] against the true one: name -> [B]."""
    true = batch.pair.texture
    columns = {
        "ssim_uv": metrics.ssim(texture, true),
        "l1_uv": _l1(texture, true),
    }
    if batch.seen_a is not None:
        columns["ssim_uv_visible"] = metrics.ssim_within(texture, true, batch.seen_a)
        columns["l1_uv_visible"] = _l1(texture, true, batch.seen_a)
    return columns


def _l1(x: Tensor, y: Tensor, mask: Tensor | None = None) -> Tensor:
    """:func:`uvtex.losses.masked_l1` of each sample: [B]."""
    error = (x - y).abs()
    if mask is None:
        return error.mean(dim=(1, 2, 3))
    area = mask.sum(dim=(1, 2, 3)) * x.shape[1]
    return (error * mask).sum(dim=(1, 2, 3)) / area.clamp_min(1e-6)


def _over(view: Tensor, background: Tensor, mask: Tensor) -> Tensor:
    return background + (view - background) * mask


def mean_colour(folder: Path, config: TrainConfig) -> dict[str, float]:
    """Means of :func:`mean_colour_samples` over the validation side of a data set."""
    columns = mean_colour_samples(PairStore.open(folder, config))
    out = {name: float(column.nanmean()) for name, column in columns.items()}
    return {name: value for name, value in out.items() if not math.isnan(value)}


def mean_colour_samples(data: PairStore) -> dict[str, Tensor]:
    """The baseline that whole-atlas figures must be held against: each true texture's own mean
    colour, everywhere. It has no reprojection, so no view metric. Name -> [N], as :func:`samples`.
    """
    columns: dict[str, list[Tensor]] = defaultdict(list)
    for batch in data.val_batches(BATCH):
        true = batch.pair.texture
        flat = true.mean(dim=(2, 3), keepdim=True).expand_as(true)
        for name, column in texture_columns(batch, flat).items():
            columns[name].append(column)
    return {name: torch.cat(parts) for name, parts in columns.items()}
