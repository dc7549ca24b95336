"""The predictor and the renderer of each preset."""

from __future__ import annotations

from uvtex.config import TrainConfig
from uvtex.imaging.camera_bank import CameraBank
from uvtex.models.attention import AttentionPredictor, AttentionRenderer
from uvtex.models.base import Predictor, Renderer
from uvtex.models.camera_estimate import CameraCode, CameraEstimate
from uvtex.models.correspondence import AtlasPredictor, PlateRenderer
from uvtex.models.poc05.networks import ConvRenderer, UNet

__all__ = ["CameraCode", "CameraEstimate", "Predictor", "Renderer", "build", "needs_camera_bank"]


def needs_camera_bank(config: TrainConfig) -> bool:
    """Whether :func:`build` uses a camera bank for ``config``'s preset."""
    return config.preset == "atlas"


def build(config: TrainConfig, bank: CameraBank | None) -> tuple[Predictor, Renderer]:
    """The untrained predictor and renderer of ``config``'s preset.

    Args:
        bank: the data set's camera bank, or None where the set has none. Without a bank, preset
            ``atlas`` learns its correspondence from the pairs alone.
    """
    if config.preset == "poc05":
        return UNet(config.width), ConvRenderer(config.width)
    if bank is None:
        size = config.image_size
        attention = AttentionPredictor(size, config.width, config.refiner_depth)
        return attention, AttentionRenderer(size, config.width)
    # The predictor estimates a pose only if training moves pictures in the frame.
    moves = config.augment.affine > 0 or config.augment.perspective > 0
    predictor = AtlasPredictor(bank, config.width, moves, config.refiner_depth)
    return predictor, PlateRenderer(predictor.cameras)
