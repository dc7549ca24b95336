"""Metrics of textures that are made of several views of a livery."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from uvtex.config import TrainConfig
from uvtex.data.splits import Split
from uvtex.data.storage.groups import grouped, load_groups
from uvtex.data.store import PairStore
from uvtex.device import autocast
from uvtex.metric_catalogue import VIEW_COUNTS, views_of
from uvtex.metrics import similarity
from uvtex.models import Predictor

VIEWS_AT_ONCE = 32


def counts_of(config: TrainConfig) -> list[int]:
    """The numbers of views that a run measures.

    They are those that it trains on, as far as the catalogue has a metric of them, and those of its
    thresholds.
    """
    asked = {views_of(threshold.metric) for threshold in config.thresholds}
    return [n for n in VIEW_COUNTS if n <= config.views or n in asked]


@torch.no_grad()
def several_views(
    predictor: Predictor,
    data: PairStore,
    config: TrainConfig,
    counts: Sequence[int],
    split: Split = "val",
) -> dict[str, Tensor]:
    """The metrics of textures of several views, for each number of views in ``counts``.

    Returns:
        name -> [N], as :func:`uvtex.evaluation.measure.samples`. The figure of a group stands at
        its first view. The other views of the group have NaN, and so has a livery with too few
        views.
    """
    samples = data.sides.of(split)
    liveries = data.liveries(samples)
    columns: dict[str, Tensor] = {}
    for count in counts:
        at_once = max(1, VIEWS_AT_ONCE // count)
        for group in load_groups(data.loaded, samples, grouped(liveries, count), at_once):
            with autocast(data.device, config.precision):
                texture, _ = predictor.fuse(group.views)
            found = _figures(texture.float(), group.texture, group.seen)
            for name, values in found.items():
                empty = torch.full((len(samples),), torch.nan, device=data.device)
                column = columns.setdefault(f"{name}_views{count}", empty)
                column[group.places.to(data.device)] = values
    return columns


def _figures(texture: Tensor, true: Tensor, seen: Tensor | None) -> dict[str, Tensor]:
    likeness = similarity.ssim_map(texture, true)
    found = {"ssim_uv": similarity.cropped(likeness)}
    if seen is not None:
        found["ssim_uv_visible"] = similarity.within(likeness, seen)
        found["coverage"] = seen.mean(dim=(1, 2, 3))
    return found
