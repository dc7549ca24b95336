"""Predictor and renderer of each preset."""

from __future__ import annotations

from torch import Tensor, nn

from uvtex.config import TrainConfig
from uvtex.errors import DataError
from uvtex.models.bank import BankPredictor
from uvtex.models.poc05 import ConvRenderer, UNet

__all__ = ["BankPredictor", "ConvRenderer", "UNet", "build"]


def build(config: TrainConfig, bank: tuple[Tensor, Tensor] | None) -> tuple[nn.Module, nn.Module]:
    """The untrained predictor and renderer of ``config``'s preset.

    Args:
        bank: flows [K, 2, S, S] and seen [K, 1, S, S] of the set's cameras, where known.

    Raises:
        DataError: the preset needs the bank and there is none.
    """
    renderer = ConvRenderer(config.width)
    if config.preset == "poc05":
        return UNet(config.width), renderer
    if bank is None:
        raise DataError(
            f"preset {config.preset!r} needs `uv_map` and `camera` in the data set's manifest, and "
            "this one has none; use a showroom set, or preset 'poc05'"
        )
    return BankPredictor(*bank, config.width), renderer
