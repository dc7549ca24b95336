"""The view that does not belong to the others: of another car, or of another livery."""

from __future__ import annotations

import torch
from torch import Tensor

from uvtex.imaging.map_estimation.levels import COARSEST, level_of
from uvtex.imaging.map_estimation.light_line import LightPrior, evidence_table, fit_line
from uvtex.imaging.map_estimation.texel_table import TABLE_NOISE, table_texels

COMPARED = 400
"""Number of pixels by which views are compared with their textures."""
BETTER = 0.6
"""Share of the misfit that remains without a view that does not belong."""


def unexplained_view(views: Tensor, textures: Tensor, changing: Tensor) -> int | None:
    """The view without which the others fit their textures far better; None if there is none.

    It shows another car, or another livery than its texture.

    Args:
        views: uint8 [L, 3, h, w], sRGB.
        textures: float [L, 3, T, T], linear.
        changing: bool [h, w].

    With fewer than five views, too little remains without one.
    """
    count = len(views)
    share = min(1.0, COARSEST / max(views.shape[-2:]))
    level = level_of(views, textures, changing, share)
    if count < 5 or not len(level.grid.points):
        return None
    pixels = level.seen.pixels
    pixels = pixels[torch.linspace(0, len(pixels) - 1, min(COMPARED, len(pixels))).long()]
    texels = table_texels(level)
    prior = LightPrior.of_showrooms()
    misfits = []
    for left_out in range(count):
        kept = [k for k in range(count) if k != left_out]
        some, others = pixels[:, kept], texels[:, kept]
        shown = others[evidence_table(some, others, TABLE_NOISE, prior).argmax(dim=1)]
        fit = fit_line(some, shown, torch.ones_like(some), TABLE_NOISE, prior)
        rest = fit.rest(some, shown)
        misfits.append(rest.square().mean(dim=(1, 2)).median().sqrt())
    misfit = torch.stack(misfits)
    best = int(misfit.argmin())
    return best if misfit[best] < BETTER * misfit.median() else None
