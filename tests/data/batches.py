"""All batches of a store as tensors, to compare stores."""

import json
import shutil
from dataclasses import fields
from pathlib import Path

import pytest
import torch

from uvtex.config import Augment, TrainConfig
from uvtex.data.batch import Batch
from uvtex.data.store import PairStore

CONFIG = TrainConfig(image_size=32, val_split=0.34, device="cpu")

DEVICES = [
    "cpu",
    pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")),
]


def without(folder: Path, out: Path, *names: str) -> Path:
    """A copy of a set whose records lack some fields."""
    shutil.copytree(folder, out)
    path = out / "manifest.json"
    values = json.loads(path.read_text())
    for record in values["records"]:
        for name in names:
            del record[name]
    path.write_text(json.dumps(values))
    return out


def tensors(batch: Batch) -> list[torch.Tensor]:
    parts = [getattr(batch.pair, field.name) for field in fields(batch.pair)]
    sides = (batch.flow_a, batch.seen_a, batch.camera_a, batch.flow_b, batch.seen_b, batch.camera_b)
    return [*parts, *sides]


def every(store: PairStore, augment: Augment | None = None) -> list[torch.Tensor]:
    """All tensors of an epoch and of validation."""
    batches = [*store.train_batches(3, 0, 1, augment), *store.batches("val", 4)]
    return [tensor.cpu() for batch in batches for tensor in tensors(batch)]


def same(one: list[torch.Tensor], two: list[torch.Tensor]) -> bool:
    return all(torch.equal(x, y) for x, y in zip(one, two, strict=True))
