"""Figures sample by sample."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import torch

from uvtex.config import resolve
from uvtex.data.store import PairStore
from uvtex.evaluate import measure, samples, term_columns
from uvtex.losses import Outputs, Pair, terms
from uvtex.models import build

SETTINGS = {"image_size": 32, "width": 0.1, "val_split": 0.34, "device": "cpu"}


def test_each_samples_terms_are_those_of_a_batch_of_it_alone() -> None:
    torch.manual_seed(0)
    images = torch.rand(9, 3, 3, 16, 16) * 2 - 1
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
    return type(whole)(*(getattr(whole, f.name)[i : i + 1] for f in fields(whole)))


def test_measured_is_the_mean_of_the_samples(tiny_set: Path) -> None:
    config = resolve(SETTINGS)
    store = PairStore.open(tiny_set, config)
    networks = build(config, None)
    columns = samples(*networks, store, config, None)
    assert {len(column) for column in columns.values()} == {len(store.val)}
    means = {name: float(column.nanmean()) for name, column in columns.items()}
    assert measure(*networks, store, config, None) == pytest.approx(means)
    assert columns["ssim_uv"].std() > 0  # samples, not their mean over and over
