"""Where the edges of photos fit those of their cameras: at which shift, scale and turn."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from uvtex.imaging.compose import srgb_from_linear
from uvtex.imaging.placing.known import Known, sampled, turned
from uvtex.imaging.registration.edges import FARTHEST, edge_fits, edge_reference, peaks

SCALES = np.exp(np.linspace(-FARTHEST, FARTHEST, 17)).tolist()
"""The scales at which edges are compared."""
TURNS = np.radians(np.linspace(-4.5, 4.5, 13)).tolist()
"""The turns at which edges are compared."""
GREYS = (0.03, 0.2, 0.7)
"""Linear greys of the paint in the pictures whose edges are averaged."""


def by_edges(pictures: Tensor, cameras: Known) -> Tensor:
    """The moves [B, 4] with which the edges fit best."""
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
    shift, height = peaks(torch.cat(each, dim=1))
    grows = pictures.new_tensor(SCALES).log().repeat_interleave(len(TURNS))
    angle = turns.repeat(len(SCALES))
    shift = turned(shift * (2 / side), angle) * grows.exp()[:, None]
    every = torch.cat([shift, torch.stack([grows, angle], dim=1).expand_as(shift)], dim=2)
    best = height.argmax(dim=1)
    return every.gather(1, best[:, None, None].expand(-1, 1, 4))[:, 0].double()
