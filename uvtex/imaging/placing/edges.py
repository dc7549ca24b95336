"""Where the edges of photos fit those of their cameras: at which shift, scale and turn."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from uvtex.imaging.compose import srgb_from_linear
from uvtex.imaging.map_estimation.registration import FARTHEST, edge_fits, edge_reference, peaks
from uvtex.imaging.placing.known import Known, sampled, turned

SCALES = np.exp(np.linspace(-FARTHEST, FARTHEST, 17)).tolist()
"""The scales at which edges are compared."""
TURNS = np.radians(np.linspace(-4.5, 4.5, 13)).tolist()
"""The turns at which edges are compared."""
GREYS = (0.03, 0.2, 0.7)
"""Linear greys of the paint in the pictures whose edges are averaged."""
APART = 3
"""Distance from which on two shifts are different places, in pixels."""


def by_edges(pictures: Tensor, cameras: Known) -> tuple[Tensor, Tensor]:
    """The moves [B, 4] with which the edges fit best, and the ratios [B] of the fits."""
    side = cameras.falling.shape[-1]
    greys = cameras.falling.new_tensor(GREYS).reshape(-1, 1, 1, 1, 1)
    shown = srgb_from_linear(cameras.reflected + greys * cameras.falling) * 255
    reference = edge_reference(shown)
    middle = (torch.arange(side, device=pictures.device) + 0.5) / side * 2 - 1
    frame = torch.stack(torch.meshgrid(middle, middle, indexing="xy"), dim=2)
    turns = pictures.new_tensor(TURNS)
    several = pictures[:, None].expand(-1, len(TURNS), -1, -1, -1).flatten(0, 1)
    at = turned(frame.expand(len(TURNS), -1, -1, -1), turns[:, None, None])
    at = at.repeat(pictures.shape[0], 1, 1, 1)
    each = [
        edge_fits(reference, sampled(several, at * s).reshape(-1, len(TURNS), 3, side, side))
        for s in SCALES
    ]
    fits = torch.cat(each, dim=1)
    shift, height = peaks(fits)
    grows = pictures.new_tensor(SCALES).log().repeat_interleave(len(TURNS))
    angle = turns.repeat(len(SCALES))
    shift = turned(shift * (2 / side), angle) * grows.exp()[:, None]
    every = torch.cat([shift, torch.stack([grows, angle], dim=1).expand_as(shift)], dim=2)
    best = height.argmax(dim=1)
    chosen = every.gather(1, best[:, None, None].expand(-1, 1, 4))[:, 0]
    return chosen.double(), _distinct(fits, best, torch.stack([grows, angle], dim=1))


def _distinct(fits: Tensor, best: Tensor, forms: Tensor) -> Tensor:
    """The best of fits [B, A, n, n], in parts of the best at another place: [B].

    The ratio of the best to the second best tells a true match from a chance one (Lowe 2004).
    Another scale or turn moves what is off the middle, so places lie further apart for it.

    Args:
        best: int64 [B], where in A the best fit is.
        forms: [A, 2], log of the scale and turn.
    """
    count, side = fits.shape[-1], fits.shape[-1] / (2 * FARTHEST)
    own = fits.gather(1, best[:, None, None, None].expand(-1, 1, count, count))[:, 0].flatten(1)
    height, place = own.max(dim=1)
    apart = APART + side / 2 * (forms - forms[best][:, None]).square().sum(dim=2).sqrt()  # [B, A]
    index = torch.arange(count, device=fits.device)
    down, right = ((index - at[:, None]).abs() for at in (place // count, place % count))
    away = torch.maximum(down[:, None, :, None], right[:, None, None, :])
    others = torch.where(away > apart[..., None, None], fits, 0.0).amax(dim=(1, 2, 3))
    return height / others.clamp_min(1e-12)
