"""A checkpoint of preset atlas that knows the made car, and photos of it that lie as said."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image

from tests.imaging import made_car
from tests.models.small_atlas import SIZE, config
from uvtex.config import TrainConfig
from uvtex.imaging.camera_bank import CameraBank, build_camera_bank, encode
from uvtex.models import build
from uvtex.models.correspondence import AtlasPredictor
from uvtex.runs import checkpoint
from uvtex.runs.header import Header


def make(folder: Path, side: int = made_car.SIDE) -> Path:
    """A checkpoint that takes every view for one of the second camera.

    ``side``: of its light, in pixels.
    """
    settings: TrainConfig = config()
    torch.manual_seed(0)
    predictor, renderer = build(settings, _bank(side))
    assert isinstance(predictor, AtlasPredictor)
    with torch.no_grad():
        predictor.pose.camera.bias += torch.tensor([-100.0, 100.0])
    tensors = {
        f"{name}.{key}": value
        for name, network in (("predictor", predictor), ("renderer", renderer))
        for key, value in network.state_dict().items()
    }
    path = folder / "best.safetensors"
    checkpoint.save(path, tensors, Header(config=settings, epoch=1, metrics={"ssim_uv": 0.5}))
    return path


def photos(
    folder: Path, moves: Sequence[tuple[float, ...]], livery: int = 0, another: bool = False
) -> list[Path]:
    """Photos of one livery that lie as said, saved as files of 4 times the light's pixels.

    ``another``: of another car, see :func:`tests.imaging.made_car.photo`.
    """
    folder.mkdir(exist_ok=True)
    paths = []
    for k, move in enumerate(moves):
        rng = np.random.default_rng(livery)
        view = Image.fromarray(made_car.photo(rng, *move, half=1.0, another=another))
        paths.append(folder / f"{k}.png")
        view.resize((384, 384), Image.Resampling.BICUBIC).save(paths[-1])
    return paths


def _bank(side: int) -> CameraBank:
    """Two cameras: the second sees the made car, the first another light of it."""
    view = made_car.camera(side)
    fine = torch.from_numpy(np.concatenate([view.falling, view.reflected], axis=2))
    fine = fine.permute(2, 0, 1)
    fine = torch.stack([fine.flip(2), fine])
    small = F.adaptive_avg_pool2d(fine, SIZE)
    middle = (torch.arange(SIZE) + 0.5) / SIZE * 2 - 1
    flow = torch.stack(torch.meshgrid(middle, middle, indexing="xy")).repeat(2, 1, 1, 1)
    painted = torch.from_numpy(np.isfinite(view.uv[..., 0])).repeat(2, 1, 1)
    paint = torch.from_numpy(encode(view.uv)).repeat(2, 1, 1, 1)
    seen = F.adaptive_avg_pool2d(torch.from_numpy(view.share)[None], SIZE) > 0.99
    liveries = torch.randint(0, 256, (4, 3, SIZE, SIZE), generator=torch.manual_seed(0))
    return build_camera_bank(
        flow,
        seen.repeat(2, 1, 1, 1),
        paint,
        small[:, :3],
        small[:, 3:],
        liveries.to(torch.uint8),
        fine=(fine.half(), painted, _of(fine.half(), painted), _of(paint, painted)),
    )


def _of(planes: torch.Tensor, chosen: torch.Tensor) -> torch.Tensor:
    """The values [C, N] of planes [K, C, D, D] at chosen pixels, bool [K, D, D]."""
    return planes.movedim(1, 0)[:, chosen]
