"""Preset atlas at a size for tests."""

import torch.nn.functional as F
from torch import Tensor

from uvtex.config import TrainConfig, resolve
from uvtex.imaging.affine import transform
from uvtex.models.camera_estimate import CameraEstimate
from uvtex.models.cameras import Cameras

SIZE = 32


def config(**values: object) -> TrainConfig:
    small = {
        "preset": "atlas",
        "augment": {"background": 0},  # the cameras of these sets differ only in their background
        "image_size": SIZE,
        "width": 0.15,
        "device": "cpu",
        "val_split": 0.34,
        "thresholds": [{"metric": "ssim_uv", "at_least": 0.1}],
    }
    return resolve(small, values)


def estimate_of(cameras: Cameras, camera: Tensor, pose: Tensor | None = None) -> CameraEstimate:
    """The estimate of a predictor that is certain of ``camera`` [B]."""
    scores = F.one_hot(camera, len(cameras.flow)).float() * 9
    flow = cameras.flow[camera]
    return CameraEstimate(scores, camera, pose, flow if pose is None else transform(flow, pose))
