"""A checkpoint of preset atlas that tells its cameras apart, and photos of two liveries."""

from __future__ import annotations

from pathlib import Path

import torch
from torch.nn import functional as F

from tests.models.small_atlas import SIZE, config
from tests.sets import make_set
from uvtex.config import TrainConfig
from uvtex.data.store import PairStore
from uvtex.models import build
from uvtex.models.correspondence import AtlasPredictor
from uvtex.runs import checkpoint
from uvtex.runs.header import Header

CAMERAS = 5


def make(folder: Path, size: int = SIZE) -> Path:
    """Saves the set and ``best.safetensors`` in ``folder``; returns the checkpoint's path.

    Only the camera estimate is trained, until it is right on every view.
    """
    settings: TrainConfig = config(image_size=size)
    store = PairStore.open(make_set(folder / "set", 6, CAMERAS, size), settings)
    torch.manual_seed(0)
    predictor, renderer = build(settings, store.bank)
    assert isinstance(predictor, AtlasPredictor)
    rows = store.loaded.rows(torch.arange(len(store.all_liveries)))
    views = store.loaded.take_views(rows).float() / 127.5 - 1
    true = rows.part("map").host
    optimizer = torch.optim.Adam(predictor.pose.parameters(), lr=3e-3)
    for _ in range(200):
        scores, _ = predictor.pose(views)
        loss = F.cross_entropy(scores, true)
        if loss < 0.02:
            break
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    assert bool((scores.argmax(dim=1) == true).all())
    tensors = {
        f"{name}.{key}": value
        for name, network in (("predictor", predictor), ("renderer", renderer))
        for key, value in network.state_dict().items()
    }
    path = folder / "best.safetensors"
    checkpoint.save(path, tensors, Header(config=settings, epoch=1, metrics={"ssim_uv": 0.5}))
    return path


def photos(folder: Path, livery: int, *cameras: int) -> list[Path]:
    """The views of a livery by these cameras, of the set in ``folder``."""
    return [folder / f"set/views/{livery}_{camera}.png" for camera in cameras]
