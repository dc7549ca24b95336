"""Texels that no livery paints, known by all training liveries being alike there.

Atlases of real cars hold more than paint: glass, lamps, the interior, what lies between the panels.
Nobody sees most of it, and nobody has to: it is the same in the next livery.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

ALIKE = 8
"""Of 255: how far apart the colours of a texel may be that is taken to be the same."""
LEAST = 8
"""Liveries; fewer are alike in places by chance."""


def constant_texels(liveries: Iterable[Tensor]) -> Tensor:
    """What liveries, uint8 [l, 3, S, S] at a time, have alike: float32 [4, S, S], the texels'
    colour in [-1, 1] and a 1; all 0 where liveries differ, and everywhere for fewer than LEAST."""
    count, low, high = 0, None, None
    for some in liveries:
        least, most = some.aminmax(dim=0)
        low = least if low is None else torch.minimum(low, least)
        high = most if high is None else torch.maximum(high, most)
        count += len(some)
    if low is None or high is None:
        raise ValueError("no liveries")
    alike = ((high - low) <= ALIKE).all(dim=0, keepdim=True) & (count >= LEAST)
    colour = (low.float() + high.float()) / 255 - 1
    return torch.cat([colour, torch.ones_like(colour[:1])]) * alike
