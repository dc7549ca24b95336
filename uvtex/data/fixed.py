"""Texels that no livery paints, known by all training liveries being alike there.

Atlases of real cars hold more than paint: glass, lamps, the interior, what lies between the panels.
Nobody sees most of it, and nobody has to: it is the same in the next livery.
"""

from __future__ import annotations

import torch
from torch import Tensor

ALIKE = 8
"""Of 255: how far apart the colours of a texel may be that is taken to be the same."""
LEAST = 8
"""Liveries; fewer are alike in places by chance."""


def fixed(liveries: Tensor) -> Tensor:
    """What ``liveries`` uint8 [L, 3, S, S] have alike: float32 [4, S, S], the texels' colour in
    [-1, 1] and a 1; all 0 where liveries differ, and everywhere for fewer than LEAST."""
    low, high = (x.float() for x in liveries.aminmax(dim=0))
    alike = ((high - low) <= ALIKE).all(dim=0, keepdim=True) & (len(liveries) >= LEAST)
    return torch.cat([(low + high) / 255 - 1, torch.ones_like(low[:1])]) * alike
