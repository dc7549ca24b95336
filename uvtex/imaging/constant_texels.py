"""Constant texels: texels that are equal in all training liveries.

The atlas of a real car holds more than paint. It also holds glass, lamps, the interior, and gutters
between the panels. Cameras do not see most of these texels. The network need not predict them,
because they are the same in every livery.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

ALIKE = 8
"""Largest difference between the colours of a constant texel, in levels of 255."""
LEAST = 8
"""Least number of liveries. Fewer liveries can have equal texels by chance."""


def constant_texels(liveries: Iterable[Tensor]) -> Tensor:
    """Find the constant texels of liveries.

    Args:
        liveries: batches, uint8 [l, 3, S, S].

    Returns:
        float32 [4, S, S]. A constant texel has its colour in [-1, 1] and a 1 in the fourth channel.
        All other texels are 0. With fewer than LEAST liveries, every texel is 0.

    Raises:
        ValueError: there are no liveries.
    """
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
