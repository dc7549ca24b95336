"""Measures a predictor and a renderer on one side of a data set."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from uvtex.config import TERMS, TrainConfig
from uvtex.data.batch import Batch
from uvtex.data.splits import Split
from uvtex.data.store import PairStore
from uvtex.device import autocast, named_out_of_memory
from uvtex.errors import DataError
from uvtex.evaluation.several_views import counts_of, several_views
from uvtex.metric_catalogue import versions
from uvtex.metrics import bleed
from uvtex.metrics.lpips import LPIPS, load_lpips
from uvtex.metrics.per_sample import (
    TexelMasks,
    bleed_columns,
    pair_columns,
    ssim_columns,
    term_columns,
    texture_columns,
)
from uvtex.models import Predictor, Renderer
from uvtex.models.forward import Outputs, forward
from uvtex.runs.checkpoint import load
from uvtex.thresholds import margin

BATCH = 32


@torch.no_grad()
def measure(
    predictor: Predictor,
    renderer: Renderer,
    data: PairStore,
    config: TrainConfig,
    lpips: LPIPS | None,
    split: Split = "val",
) -> dict[str, float]:
    """The mean of every metric and loss term over the samples of a side; see :func:`samples`.

    NaN marks a sample that does not define a metric. Such samples do not count in its mean. A
    metric that no sample defines is left out. If a loss term is NaN, the networks are broken, and
    every metric is the plain mean with its NaN. Both networks are left in evaluation mode.
    """
    return means(samples(predictor, renderer, data, config, lpips, split))


def means(columns: dict[str, Tensor]) -> dict[str, float]:
    """The means of the ``columns`` of :func:`samples`, as :func:`measure` gives them."""
    broken = torch.stack([columns[term] for term in TERMS]).isnan().any()
    found = [torch.where(broken, column.mean(), column.nanmean()) for column in columns.values()]
    values = torch.stack([broken.to(found[0]), *found]).tolist()  # one sync for all figures
    kept = zip(columns, values[1:], strict=True)
    return {name: value for name, value in kept if values[0] or not math.isnan(value)}


@torch.no_grad()
def samples(
    predictor: Predictor,
    renderer: Renderer,
    data: PairStore,
    config: TrainConfig,
    lpips: LPIPS | None,
    split: Split = "val",
    views: Sequence[int] | None = None,
) -> dict[str, Tensor]:
    """Every metric and loss term of every sample of a side.

    Each batch synchronises with the device once; see :func:`uvtex.metrics.bleed.swap`.

    Args:
        views: measure textures of so many views too; None: of those that
            :func:`uvtex.evaluation.several_views.counts_of` names.

    Returns:
        name -> [N] on the store's device, in the order of ``data.sides.of(split)``. NaN marks a
        sample that does not define the metric, such as SSIM over the visible texels where none is
        visible.
    """
    predictor.eval()
    renderer.eval()
    # The noise is the same at every epoch and for every run.
    noise = torch.Generator(data.device).manual_seed(0)
    columns: dict[str, list[Tensor]] = defaultdict(list)
    atlas = texel_masks(data)
    for batch in data.batches(split, BATCH):
        swapped = bleed.swap(batch.pair.a, batch.pair.mask_a)
        with autocast(data.device, config.precision):
            out = forward(predictor, renderer, batch.pair)
            added = torch.randn(out.texture_a.shape, generator=noise, device=data.device)
            noised = (out.texture_a + added * (2 * 3 / 255)).clamp(-1, 1)
            noisy = renderer(noised, out.camera_a)
            moved = predictor(swapped.view)
        out = out.float32()
        found = _columns(batch, out, noisy.float(), atlas, lpips)
        found |= bleed_columns(batch, out.texture_a, moved.float(), swapped)
        for name, column in found.items():
            columns[name].append(column)
    counts = counts_of(config) if views is None else views
    fused = several_views(predictor, data, config, counts, split)
    return {name: torch.cat(parts) for name, parts in columns.items()} | fused


@dataclass(frozen=True)
class SplitFigures:
    """The figures of a checkpoint on one side of a data set."""

    split: Split
    metrics: dict[str, float]
    """Metric or loss term -> mean over the side's samples, as in ``EpochReport.val``. ``margin``
    is over the run's thresholds, if all of their metrics are defined."""
    by_livery: dict[str, dict[str, float]]
    """Livery -> metric -> mean over the livery's samples that define it. Comparisons of two
    checkpoints pair by livery, see :mod:`uvtex.evaluation.paired`."""
    samples: int
    metric_versions: dict[str, str]
    """The definitions by which the metrics were measured."""


def measure_split(checkpoint: Path, data: PairStore, split: Split) -> SplitFigures:
    """Measures a checkpoint on one side of ``data``, on the store's device.

    On the validation side these are the figures of the checkpoint's header, up to rounding.

    Raises:
        CheckpointError: the checkpoint cannot be used.
        DataError: the side has no samples.
        OutOfMemory: a batch does not fit.
    """
    side = data.sides.of(split)
    if not side:
        raise DataError(f"{checkpoint}: the data set has no {split} side with these settings")
    loaded = load(checkpoint)
    config, device = loaded.config, data.device
    lpips = load_lpips(config.lpips_backbone, device)
    predictor, renderer = loaded.predictor.to(device), loaded.renderer.to(device)
    doing = f"measuring in batches of {BATCH}"
    with named_out_of_memory(doing, config.image_size, device, "--image-size or --width"):
        columns = samples(predictor, renderer, data, config, lpips, split)
        metrics = means(columns)
    if all(threshold.metric in metrics for threshold in config.thresholds):
        metrics["margin"] = margin(metrics, config.thresholds)
    return SplitFigures(
        split,
        metrics,
        _by_livery(columns, data.liveries(side)),
        len(side),
        versions(lpips.version if lpips else None),
    )


def _by_livery(columns: dict[str, Tensor], liveries: Sequence[str]) -> dict[str, dict[str, float]]:
    """The mean of each column [N] over the samples of each livery, without NaN."""
    names, group = np.unique(np.asarray(liveries), return_inverse=True)
    found: dict[str, dict[str, float]] = {str(name): {} for name in names}
    for metric, column in columns.items():
        values = column.double().cpu().numpy()
        defined = ~np.isnan(values)
        counts = np.bincount(group[defined], minlength=len(names))
        sums = np.bincount(group[defined], values[defined], minlength=len(names))
        for name, total, count in zip(found, sums.tolist(), counts.tolist(), strict=True):
            if count:
                found[name][metric] = total / count
    return found


def texel_masks(data: PairStore) -> TexelMasks:
    """The texels of ``data`` that any camera sees, and its seams, where the set has them."""
    covered = data.covered
    return TexelMasks(None if covered is None else covered[None], data.seams)


def _columns(
    batch: Batch, out: Outputs, noisy: Tensor, atlas: TexelMasks, lpips: LPIPS | None
) -> dict[str, Tensor]:
    pair = batch.pair
    return (
        term_columns(pair, out)
        | texture_columns(batch, out.texture_a, atlas)
        | pair_columns("view", out.view_a, out.view_b, pair, lpips)
        | pair_columns("view_true", out.true_a, out.true_b, pair, lpips)
        | ssim_columns("view_noisy", noisy, pair.a, pair.mask_a)
    )


def mean_colour(folder: Path, config: TrainConfig, split: Split = "val") -> dict[str, float]:
    """The means of :func:`mean_colour_samples` over one side of a data set."""
    columns = mean_colour_samples(PairStore.open(folder, config), split=split)
    out = {name: float(column.nanmean()) for name, column in columns.items()}
    return {name: value for name, value in out.items() if not math.isnan(value)}


def mean_colour_samples(
    data: PairStore, fixed: Tensor | None = None, split: Split = "val"
) -> dict[str, Tensor]:
    """The metrics of the baseline: a texture of the true texture's mean colour.

    The baseline has no reprojection, so it has no view metric.

    Args:
        fixed: the constant texels, [4, S, S] as in
            :class:`uvtex.imaging.camera_bank.CameraBank`. The mean is then over the other texels,
            and the constant ones keep their colour.

    Returns:
        name -> [N], as :func:`samples`.
    """
    columns: dict[str, list[Tensor]] = defaultdict(list)
    atlas = texel_masks(data)
    for batch in data.batches(split, BATCH):
        true = batch.pair.texture
        flat = true.mean(dim=(2, 3), keepdim=True).expand_as(true)
        if fixed is not None:
            paint = 1 - fixed[3:]
            mean = (true * paint).sum(dim=(2, 3), keepdim=True) / paint.sum().clamp_min(1)
            flat = torch.lerp(mean, fixed[:3], fixed[3:])
        for name, column in texture_columns(batch, flat, atlas).items():
            columns[name].append(column)
    return {name: torch.cat(parts) for name, parts in columns.items()}
