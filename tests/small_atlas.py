"""Preset atlas at the size of a test."""

import torch.nn.functional as F
from torch import Tensor

from uvtex.config import TrainConfig, resolve
from uvtex.models.atlas import Cameras
from uvtex.models.sight import Sight, moved

SIZE = 32


def config(**values: object) -> TrainConfig:
    small = {
        "preset": "atlas",
        "augment": {"background": 0},  # it is what these sets' cameras are told apart by
        "image_size": SIZE,
        "width": 0.15,
        "device": "cpu",
        "val_split": 0.34,
        "thresholds": [{"metric": "ssim_uv", "at_least": 0.1}],
    }
    return resolve(small, values)


def sight_of(cameras: Cameras, camera: Tensor, pose: Tensor | None = None) -> Sight:
    """What a predictor would say that is sure of its ``camera`` [B]."""
    scores = F.one_hot(camera, len(cameras.flow)).float() * 9
    flow = cameras.flow[camera]
    return Sight(scores, camera, pose, flow if pose is None else moved(flow, pose))
