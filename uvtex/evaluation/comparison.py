"""Measures checkpoints on one data set, sample by sample, and says which of them compare."""

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
from uvtex.data.splits import Split
from uvtex.data.store import DataKey, PairStore
from uvtex.errors import CheckpointError
from uvtex.evaluation.measure import mean_colour_samples, samples
from uvtex.evaluation.paired import Difference, difference
from uvtex.metric_catalogue import higher_is_better, needs_lpips
from uvtex.metrics.lpips import load_lpips
from uvtex.runs import checkpoint
from uvtex.runs.header import Header, read_header

BASELINE = "(a texture of its mean colour)"
WITH_FIXED = f"{BASELINE[:-1]}, and the constant texels)"
"""The baseline of a checkpoint that knows the texels that are the same in all training liveries."""

BROKEN = "its networks give figures that are NaN or infinite; ignore all of its figures"


@dataclass(frozen=True)
class Evaluated:
    """The figures of one checkpoint, or of a baseline, on every sample that was measured."""

    name: str
    split: Split
    """The side that was measured."""
    size: int
    """Side of the pictures, in pixels."""
    records: tuple[int, ...]
    """The index of each sample's record in the manifest."""
    liveries: tuple[str, ...]
    """The livery of each sample."""
    columns: dict[str, np.ndarray]
    """Metric -> [N]; NaN for samples that do not define the metric."""
    lpips: str | None = None
    """The version of LPIPS and of its backbone; None where LPIPS was not measured."""
    note: str | None = None
    """A warning that readers of the figures need."""
    baseline: bool = False
    """Whether a texture of the mean colour was measured in place of a checkpoint."""

    @property
    def means(self) -> dict[str, float]:
        """The mean of each metric over the samples that define it."""
        whole = {name: column[np.isfinite(column)] for name, column in self.columns.items()}
        return {name: float(column.mean()) for name, column in whole.items() if len(column)}


def evaluate_checkpoints(
    files: Mapping[str, Path],
    folder: Path,
    device: str = "auto",
    split: Split = "val",
    views: Sequence[int] | None = None,
) -> list[Evaluated]:
    """Measures each checkpoint at its own size, and the baselines at each size and split.

    Args:
        files: name -> checkpoint.
        folder: the data set.
        device: as :attr:`TrainConfig.device`; it replaces the device in the checkpoints' settings.
        split: the side to measure, by each checkpoint's own settings; ``all``: every record.
        views: as in :func:`uvtex.evaluation.measure.samples`.

    Returns:
        The checkpoints in the order of ``files``, then the baselines.

    Raises:
        CheckpointError: a checkpoint cannot be used, or has no test side and ``split`` is ``test``.
        DataError: the data set cannot be used.
    """
    stores: dict[DataKey, PairStore] = {}
    # All headers first, so that a broken checkpoint is found before any is measured.
    configs = {name: read_header(path).config for name, path in files.items()}
    if split == "test":
        _refuse_without_test_side(configs)
    evaluated = []
    known: dict[DataKey, torch.Tensor] = {}
    for name, path in files.items():
        config = configs[name].model_copy(update={"device": device})
        key = DataKey.of(config)
        if key not in stores:
            stores[key] = PairStore.open(folder, config, unsplit=split == "all")
        loaded = checkpoint.load(path)
        evaluated.append(_one(name, loaded, config, stores[key], split, views))
        texels = loaded.predictor.known_texels
        if texels is not None:
            known.setdefault(key, texels)
    return [*evaluated, *_baselines(stores, known, split)]


def _refuse_without_test_side(configs: Mapping[str, TrainConfig]) -> None:
    without = [name for name, config in configs.items() if not config.test_split]
    if without:
        raise CheckpointError(
            f"{', '.join(without)}: trained without a test side, as every run before there was the "
            "setting test_split; measure with --split val, or train anew with --test-split"
        )


def _one(
    name: str,
    loaded: checkpoint.Checkpoint,
    config: TrainConfig,
    store: PairStore,
    split: Split,
    views: Sequence[int] | None,
) -> Evaluated:
    lpips = load_lpips(config.lpips_backbone, store.device)
    predictor, renderer = loaded.predictor.to(store.device), loaded.renderer.to(store.device)
    columns = samples(predictor, renderer, store, config, lpips, split, views)
    trained_here = _trained_here(loaded.header, store, split)
    broken = not all(bool(columns[term].isfinite().all()) for term in TERMS)
    measured = len(store.sides.of(split))
    note = _note(config, trained_here, split, measured) if not broken else BROKEN
    return _evaluated(name, store, split, columns, lpips.version if lpips else None, note)


def _trained_here(header: Header, store: PairStore, split: Split) -> bool:
    """Whether the checkpoint's run had the same views on that side; by validation for ``all``."""
    if split == "train":
        return header.train_fingerprint == store.train_fingerprint()
    if split == "test":
        return header.test_fingerprint == store.test_fingerprint()
    return header.data_fingerprint == store.fingerprint()


def _note(config: TrainConfig, trained_here: bool, split: Split, views: int) -> str | None:
    """The warning that the checkpoint's training makes necessary, if any."""
    if not trained_here and split != "all":
        does = "train on" if split == "train" else "hold out"
        return (
            "was trained on another data set, or on this one before it changed; measured on the "
            f"{views} views that its settings {does} here. --all measures every view"
        )
    if trained_here and split == "train":
        return "was trained on these very views, so its figures flatter"
    if trained_here and split == "all":
        return (
            "was trained on some of these views, so its figures flatter; without --all it is "
            "measured on the views that were held out"
        )
    if trained_here and config.split_by == "sample":
        return "was trained on other views of these liveries (split by sample): figures flatter"
    return None


def _baselines(
    stores: Mapping[DataKey, PairStore], known: Mapping[DataKey, torch.Tensor], split: Split
) -> Iterator[Evaluated]:
    for key, store in stores.items():
        baselines = {BASELINE: None, **({WITH_FIXED: known[key]} if key in known else {})}
        for name, fixed in baselines.items():
            sized = name if len(stores) == 1 else f"{name[:-1]}, {store.size} px)"
            columns = mean_colour_samples(store, fixed, split)
            yield replace(_evaluated(sized, store, split, columns), baseline=True)


def _evaluated(
    name: str,
    store: PairStore,
    split: Split,
    columns: dict[str, torch.Tensor],
    lpips: str | None = None,
    note: str | None = None,
) -> Evaluated:
    arrays = {metric: column.float().cpu().numpy() for metric, column in columns.items()}
    records = tuple(store.sides.of(split))
    liveries = tuple(store.liveries(records))
    return Evaluated(name, split, store.size, records, liveries, arrays, lpips, note)


def why_not_comparable(a: Evaluated, b: Evaluated) -> str | None:
    """Why the figures of ``a`` and ``b`` are not comparable; None if they are."""
    if a.size != b.size:
        return f"measured at {a.size} and at {b.size} px"
    if a.records != b.records:
        common = len(set(a.records) & set(b.records))
        return (
            f"measured on {len(a.records)} and on {len(b.records)} views, {common} of them the "
            "same: their settings split the set differently"
        )
    return None


def notes(evaluated: Sequence[Evaluated]) -> list[str]:
    """The warnings to print beside the figures: each one's own, and which do not compare."""
    notes = [f"{one.name}: {one.note}" for one in evaluated if one.note]
    models = [one for one in evaluated if not one.baseline]
    alike: dict[tuple[object, ...], list[Evaluated]] = {}
    for one in models:
        alike.setdefault((one.size, one.records), []).append(one)
    if len(alike) > 1:
        groups = [
            f"{', '.join(one.name for one in group)} ({group[0].size} px, {len(group[0].records)} "
            f"views of {len(set(group[0].liveries))} liveries)"
            for group in alike.values()
        ]
        notes.append("not comparable, because texture sizes or views differ: " + "; ".join(groups))
    if len({one.lpips for one in models}) > 1:
        notes.append("LPIPS is not comparable: backbones differ, or some checkpoints have none")
    return notes


def differences(ours: Evaluated, theirs: Evaluated) -> dict[str, Difference]:
    """The paired difference of each metric that both have; see :mod:`uvtex.evaluation.paired`.

    LPIPS is left out where the backbones differ.
    """
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


def to_csv(evaluated: Sequence[Evaluated], folder: Path) -> bytes:
    """A CSV file with a line for each checkpoint and sample.

    Its columns are: checkpoint, split, livery, view, camera, size, then every metric. Metrics of
    reprojections are the means over the view and its partner. A cell is empty where a sample does
    not define the metric.
    """
    records = manifest.read(folder).records
    metrics = list(dict.fromkeys(metric for one in evaluated for metric in one.columns))
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["checkpoint", "split", "livery", "view", "camera", "size", *metrics])
    for one in evaluated:
        for i, place in enumerate(one.records):
            record = records[place]
            figures = [one.columns[m][i] if m in one.columns else np.nan for m in metrics]
            numbers = [f"{value:.6g}" if np.isfinite(value) else "" for value in figures]
            names = [one.name, one.split, record.livery, record.view, record.camera or ""]
            writer.writerow([*names, one.size, *numbers])
    return text.getvalue().encode("utf-8", "backslashreplace")
