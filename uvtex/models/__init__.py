"""Predictor and renderer of each preset."""

from __future__ import annotations

from uvtex.config import TrainConfig
from uvtex.imaging.camera_bank import CameraBank
from uvtex.models.attention import AttentionPredictor, AttentionRenderer
from uvtex.models.base import Predictor, Renderer
from uvtex.models.camera_estimate import CameraEstimate
from uvtex.models.correspondence import AtlasPredictor, PlateRenderer
from uvtex.models.poc05.networks import ConvRenderer, UNet

__all__ = ["CameraEstimate", "Predictor", "Renderer", "build", "needs_camera_bank"]


def needs_camera_bank(config: TrainConfig) -> bool:
    """Whether :func:`build` uses what a data set says of its cameras, for ``config``'s preset."""
    return config.preset == "atlas"


def build(config: TrainConfig, bank: CameraBank | None) -> tuple[Predictor, Renderer]:
    """The untrained predictor and renderer of ``config``'s preset.

    Args:
        bank: what the data set says of its cameras, where it says so. Without it preset ``atlas``
            learns its correspondence from the pairs alone.
    """
    if config.preset == "poc05":
        return UNet(config.width), ConvRenderer(config.width)
    if bank is None:
        size = config.image_size
        return AttentionPredictor(size, config.width), AttentionRenderer(size, config.width)
    # What is never shown in training cannot be found out.
    moves = config.augment.affine > 0 or config.augment.perspective > 0
    predictor = AtlasPredictor(bank, config.width, moves)
    return predictor, PlateRenderer(predictor.cameras)
