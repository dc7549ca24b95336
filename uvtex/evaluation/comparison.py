"""Checkpoints measured on one data set, sample by sample, and what of that compares."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from uvtex.config import TERMS, TrainConfig
from uvtex.data import manifest
from uvtex.data.store import DataKey, PairStore
from uvtex.evaluation.measure import mean_colour_samples, samples
from uvtex.evaluation.paired import Difference, difference
from uvtex.metric_catalogue import higher_is_better, needs_lpips
from uvtex.metrics.lpips import load_lpips
from uvtex.runs import checkpoint

BASELINE = "(a texture of its mean colour)"
WITH_FIXED = f"{BASELINE[:-1]}, and what no livery paints)"
"""Where a checkpoint knows such texels: a model that knew no more would score this."""

BROKEN = "its networks give figures that are NaN or infinite; nothing said of it holds"


@dataclass(frozen=True)
class Evaluated:
    """Figures of one checkpoint, or of the baseline, on each sample that it was measured on."""

    name: str
    size: int
    """Side of the pictures it was measured at, in pixels."""
    records: tuple[int, ...]
    """Places in the manifest, one a sample."""
    liveries: tuple[str, ...]
    columns: dict[str, np.ndarray]
    """Metric -> [N]; NaN where it says nothing of a sample."""
    lpips: str | None = None
    """Which LPIPS, its backbone included."""
    note: str | None = None
    """What must be known to read the figures."""
    baseline: bool = False
    """A texture of the mean colour was measured, and no checkpoint."""

    @property
    def means(self) -> dict[str, float]:
        """Each metric's mean over the samples of which it says something."""
        whole = {name: column[np.isfinite(column)] for name, column in self.columns.items()}
        return {name: float(column.mean()) for name, column in whole.items() if len(column)}


def evaluate_checkpoints(
    files: Mapping[str, Path], folder: Path, device: str = "auto", everything: bool = False
) -> list[Evaluated]:
    """Measures checkpoints, each at its own size, and the baseline at each size and split.

    Args:
        files: name -> checkpoint.
        everything: on every record; else on those that a checkpoint's own settings hold out.

    Raises:
        CheckpointError, DataError: one of them cannot be used.
    """
    stores: dict[DataKey, PairStore] = {}
    # All headers first: the last checkpoint's fault shows before the first one is measured.
    configs = {name: checkpoint.read_header(path).config for name, path in files.items()}
    judged = []
    known: dict[DataKey, torch.Tensor] = {}
    for name, path in files.items():
        config = configs[name].model_copy(update={"device": device})
        key = DataKey.of(config)
        if key not in stores:
            stores[key] = PairStore.open(folder, config, everything=everything)
        loaded = checkpoint.load(path)
        judged.append(_one(name, loaded, config, stores[key], everything))
        texels = loaded.predictor.known_texels
        if texels is not None:
            known.setdefault(key, texels)
    return [*judged, *_baselines(stores, known)]


def _one(
    name: str,
    loaded: checkpoint.Checkpoint,
    config: TrainConfig,
    store: PairStore,
    everything: bool,
) -> Evaluated:
    lpips = load_lpips(config.lpips_backbone, store.device)
    predictor, renderer = loaded.predictor.to(store.device), loaded.renderer.to(store.device)
    columns = samples(predictor, renderer, store, config, lpips)
    trained_here = loaded.header.data_fingerprint == store.fingerprint()
    broken = not all(bool(columns[term].isfinite().all()) for term in TERMS)
    note = _note(config, trained_here, everything, len(store.val)) if not broken else BROKEN
    return _evaluated(name, store, columns, lpips.version if lpips else None, note)


def _note(config: TrainConfig, trained_here: bool, everything: bool, views: int) -> str | None:
    """What the figures must be read with, as it is known of the training."""
    if not trained_here and not everything:
        return (
            "was trained on another data set, or on this one before it changed; measured on the "
            f"{views} views that its settings hold out here. --all measures every view"
        )
    if trained_here and everything:
        return (
            "was trained on a part of these views, so that its figures flatter; without --all it "
            "is measured on those held out"
        )
    if trained_here and config.split_by == "sample":
        return "was trained on other views of these liveries (split by sample): figures flatter"
    return None


def _baselines(
    stores: Mapping[DataKey, PairStore], known: Mapping[DataKey, torch.Tensor]
) -> Iterator[Evaluated]:
    for key, store in stores.items():
        baselines = {BASELINE: None, **({WITH_FIXED: known[key]} if key in known else {})}
        for name, fixed in baselines.items():
            sized = name if len(stores) == 1 else f"{name[:-1]}, {store.size} px)"
            columns = mean_colour_samples(store, fixed)
            yield replace(_evaluated(sized, store, columns), baseline=True)


def _evaluated(
    name: str,
    store: PairStore,
    columns: dict[str, torch.Tensor],
    lpips: str | None = None,
    note: str | None = None,
) -> Evaluated:
    arrays = {metric: column.float().cpu().numpy() for metric, column in columns.items()}
    liveries = tuple(store.liveries(store.val))
    return Evaluated(name, store.size, tuple(store.val), liveries, arrays, lpips, note)


def why_not_comparable(a: Evaluated, b: Evaluated) -> str | None:
    """Why figures of the two say nothing of each other; None if they do."""
    if a.size != b.size:
        return f"measured at {a.size} and at {b.size} px"
    if a.records != b.records:
        common = len(set(a.records) & set(b.records))
        return (
            f"measured on {len(a.records)} and on {len(b.records)} views, {common} of them the "
            "same: their settings split the set differently"
        )
    return None


def notes(judged: Sequence[Evaluated]) -> list[str]:
    """What must be said beside the figures: of each, and of those that do not compare."""
    said = [f"{one.name}: {one.note}" for one in judged if one.note]
    models = [one for one in judged if not one.baseline]
    alike: dict[tuple[object, ...], list[Evaluated]] = {}
    for one in models:
        alike.setdefault((one.size, one.records), []).append(one)
    if len(alike) > 1:
        groups = [
            f"{', '.join(one.name for one in group)} ({group[0].size} px, {len(group[0].records)} "
            f"views of {len(set(group[0].liveries))} liveries)"
            for group in alike.values()
        ]
        said.append(
            "these do not compare, being measured at other sizes or on other views: "
            + "; ".join(groups)
        )
    if len({one.lpips for one in models}) > 1:
        said.append("LPIPS does not compare: on different backbones, or absent for some")
    return said


def differences(ours: Evaluated, theirs: Evaluated) -> dict[str, Difference]:
    """Paired differences of every metric that both have; see :mod:`uvtex.evaluation.paired`."""
    out = {}
    for metric in ours.columns:
        if metric not in theirs.columns:
            continue
        if needs_lpips(metric) and ours.lpips != theirs.lpips:
            continue
        found = difference(
            ours.columns[metric],
            theirs.columns[metric],
            ours.liveries,
            higher_is_better(metric),
        )
        if found is not None:
            out[metric] = found
    return out


def to_csv(judged: Sequence[Evaluated], folder: Path) -> bytes:
    """One line a checkpoint and sample: checkpoint, livery, view, camera, then every metric.

    A view's own name; metrics of reprojections are means of that view and its partner. Empty where
    a metric says nothing.
    """
    records = manifest.read(folder).records
    metrics = list(dict.fromkeys(metric for one in judged for metric in one.columns))
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["checkpoint", "livery", "view", "camera", "size", *metrics])
    for one in judged:
        for i, place in enumerate(one.records):
            record = records[place]
            figures = [one.columns[m][i] if m in one.columns else np.nan for m in metrics]
            numbers = [f"{value:.6g}" if np.isfinite(value) else "" for value in figures]
            names = [one.name, record.livery, record.view, record.camera or "", one.size]
            writer.writerow([*names, *numbers])
    return text.getvalue().encode()
