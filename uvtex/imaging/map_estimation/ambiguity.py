"""How well a pixel's colours alone tell its place from all other texels.

Pixels of a large area may agree with each other on a wrong place, where the liveries are flat or
the same on both sides of the car. At the higher levels only the chosen place is refined, so that
other places look worse than they are. At the lowest level, every texel has the same chance.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from uvtex.imaging.map_estimation.footprints import ATLAS
from uvtex.imaging.map_estimation.levels import COARSEST, Level, level_of, reduced
from uvtex.imaging.map_estimation.light_line import LightPrior, evidence_table, fit_line
from uvtex.imaging.map_estimation.pixel_grid import PixelGrid

TABLE = 64
"""The largest side of the textures, in texels, where pixels are compared with every texel."""
TABLE_NOISE = 0.03
"""Standard deviation of a pixel from its line there. Edges of the paint do not fit whole texels."""
LEAST = 1e-15
"""The least probability of a place, and of all others."""
HERE = 8.0
"""Distance of a texel from a pixel's place up to which it is that place."""
COMPARED = 400
"""Number of pixels by which views are compared with their textures."""
BETTER = 0.6
"""Share of the misfit that remains without a view that does not belong."""


def table_texels(level: Level) -> tuple[Tensor, int]:
    """The texels that pixels are compared with, float [T * T, L, 3], and T."""
    texels = level.seen.texels
    side = reduced(texels.side, TABLE)
    textures = texels.colours.T.reshape(1, -1, texels.side, texels.side)
    small = F.interpolate(textures, size=(side, side), mode="area")[0]
    return small.view(-1, 3, side * side).permute(2, 0, 1), side


def table_of(level: Level, prior: LightPrior) -> Tensor:
    """The evidence of every pixel of a level for every texel of a table, float [P, T * T]."""
    texels, _ = table_texels(level)
    parts = torch.split(level.seen.pixels, 1024)
    return torch.cat([evidence_table(some, texels, TABLE_NOISE, prior) for some in parts])


def odds_of_places(table: Tensor, lowest: PixelGrid, grid: PixelGrid, position: Tensor) -> Tensor:
    """Log odds of the texels around a pixel's place against all others, float [P].

    Args:
        table: as from :func:`table_of`, of the lowest level.
        lowest: the pixels of that level.
        grid: the P pixels of the highest level.
        position: their places, float [P, 2].
    """
    side = round(table.shape[1] ** 0.5)
    step = ATLAS / side
    reach = int(max(HERE, step) / step) + 1
    span = torch.arange(-reach, reach + 1)
    window = torch.cartesian_prod(span, span)  # x, y
    share = torch.softmax(table.double(), dim=1)
    parent = _parents(lowest, grid)
    odds = []
    for rows in torch.split(torch.arange(len(position)), 8192):
        at = position[rows, None]
        near = (at / step).long() + window
        here = ((near + 0.5) * step - at).norm(dim=-1) <= max(HERE, step)
        here &= ((near >= 0) & (near < side)).all(dim=-1)
        column, row = near.clamp(0, side - 1).unbind(dim=-1)
        inside = (share[parent[rows, None], row * side + column] * here).sum(dim=1)
        odds.append(inside.clamp_min(LEAST).log() - (1 - inside).clamp_min(LEAST).log())
    return torch.cat(odds).float()


def _parents(coarse: PixelGrid, fine: PixelGrid) -> Tensor:
    """The number of the coarse pixel that is nearest to each fine one, int64 [P]."""
    ratio = torch.tensor(coarse.chosen.shape) / torch.tensor(fine.chosen.shape)
    place = (fine.points + 0.5) * ratio - 0.5
    parts = [
        torch.cdist(some, coarse.points.float()).argmin(dim=1) for some in torch.split(place, 2048)
    ]
    return torch.cat(parts)


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
    texels, _ = table_texels(level)
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
