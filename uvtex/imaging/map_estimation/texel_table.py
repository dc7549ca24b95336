"""The evidence of every pixel for every texel, at the lowest level."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from uvtex.imaging.map_estimation.levels import Level, reduced
from uvtex.imaging.map_estimation.light_line import LightPrior, evidence_table

TABLE = 64
"""The largest side of the textures, in texels, where pixels are compared with every texel."""
TABLE_NOISE = 0.03
"""Standard deviation of a pixel from its line there. Edges of the paint do not fit whole texels."""


def table_texels(level: Level) -> Tensor:
    """The texels that pixels are compared with, float [T * T, L, 3]."""
    texels = level.seen.texels
    side = reduced(texels.side, TABLE)
    textures = texels.colours.T.reshape(1, -1, texels.side, texels.side)
    small = F.interpolate(textures, size=(side, side), mode="area")[0]
    return small.view(-1, 3, side * side).permute(2, 0, 1)


def table_of(level: Level, prior: LightPrior) -> Tensor:
    """The evidence of every pixel of a level for every texel of a table, float [P, T * T]."""
    texels = table_texels(level)
    parts = torch.split(level.seen.pixels, 1024)
    return torch.cat([evidence_table(some, texels, TABLE_NOISE, prior) for some in parts])
