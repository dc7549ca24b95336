"""Predictor and renderer of each preset."""

from __future__ import annotations

from uvtex.config import TrainConfig
from uvtex.data.bank import Bank
from uvtex.models.atlas import AtlasPredictor, PlateRenderer
from uvtex.models.attend import AttendingPredictor, AttendingRenderer
from uvtex.models.base import Predictor, Renderer
from uvtex.models.poc05 import ConvRenderer, UNet
from uvtex.models.sight import Sight

__all__ = ["Predictor", "Renderer", "Sight", "build"]


def build(config: TrainConfig, bank: Bank | None) -> tuple[Predictor, Renderer]:
    """The untrained predictor and renderer of ``config``'s preset.

    Args:
        bank: what the data set says of its cameras, where it says so. Without it preset ``atlas``
            learns its correspondence from the pairs alone.
    """
    if config.preset == "poc05":
        return UNet(config.width), ConvRenderer(config.width)
    if bank is None:
        size = config.image_size
        return AttendingPredictor(size, config.width), AttendingRenderer(size, config.width)
    # What is never shown in training cannot be found out.
    moves = config.augment.affine > 0 or config.augment.perspective > 0
    predictor = AtlasPredictor(bank, config.width, moves)
    return predictor, PlateRenderer(predictor.cameras)
