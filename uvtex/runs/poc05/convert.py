"""Converts a ``.pt`` file of the original project to a checkpoint of preset ``poc05``."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from uvtex.config import TrainConfig, from_flags, resolve
from uvtex.errors import CheckpointError, ConfigError
from uvtex.models import build
from uvtex.runs import checkpoint
from uvtex.runs.header import Header, OriginalRecord
from uvtex.runs.poc05.matching import Misfit, match
from uvtex.runs.poc05.pt_file import Original, read_original

TAKEN_OVER = (
    *("epochs", "batch_size", "lr", "lr_scheduler", "lr_scheduler_tmax", "image_size", "val_split"),
    *("seed", "w_cycle", "w_uv", "w_direct", "w_cross"),
    *("w_cycle_end", "w_uv_end", "w_direct_end", "w_cross_end"),
)
"""The settings of the original that mean the same here. Its split (by sample, from its own random
draw) does not, so the checkpoint is measured on a split by livery. ``original.args`` keeps all."""


@dataclass(frozen=True)
class Imported:
    """The new checkpoint and the content of the original file."""

    path: Path
    config: TrainConfig
    original: Original


def import_original(path: Path, out: Path, force: bool = False) -> Imported:
    """Writes the checkpoint ``out``, which evaluation and inference can use as any other.

    Its header has no metrics. Those of the original stand below ``original``, because they have
    other definitions and another split.

    Raises:
        CheckpointError: ``path`` cannot be read or does not fit preset ``poc05``; or ``out``
            exists and ``force`` is False.
    """
    if out.suffix != ".safetensors":
        raise CheckpointError(f"{out}: a checkpoint's name must end in .safetensors")
    if os.path.lexists(out) and not force:
        raise CheckpointError(f"{out}: is there already; choose another name, or give --force")
    original = read_original(path)
    config = _settings(path, out.stem, original.args)
    tensors = {}
    for ours, theirs, network in zip(
        ("predictor", "renderer"), ("uv", "renderer"), build(config, None), strict=True
    ):
        try:
            found = match(network.state_dict(), original.networks[theirs])
        except Misfit as misfit:
            raise CheckpointError(
                f"{path}: {theirs!r} does not fit preset 'poc05': {misfit}; only the original's "
                "own networks can be imported"
            ) from None
        tensors.update({f"{ours}.{key}": value for key, value in found.items()})
    header = Header(
        config=config,
        epoch=original.epoch,
        metrics={},
        metric_versions={},
        data_fingerprint="",
        original=OriginalRecord(
            file=path.name,
            metrics=original.metrics,
            weights=original.weights,
            args=original.args,
        ),
    )
    out.parent.mkdir(parents=True, exist_ok=True)
    checkpoint.save(out, tensors, header)
    return Imported(out, config, original)


def _settings(path: Path, name: str, args: dict[str, Any]) -> TrainConfig:
    given = {key: args[key] for key in TAKEN_OVER if key in args}
    try:
        return resolve(from_flags(given), {"preset": "poc05", "checkpoint_name": name})
    except ConfigError as error:
        raise CheckpointError(f"{path}: its `args` cannot be used: {error}") from None
