"""The six passes of a step: what both networks make of a batch."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from uvtex.losses import Outputs, Pair


def forward(
    predictor: Callable[[Tensor], Tensor], renderer: Callable[[Tensor], Tensor], pair: Pair
) -> Outputs:
    """Both networks over a batch, as the original runs them: U(a), U(b), then U(R(t)).

    The renderer normalises nothing over a batch, so its three passes are one. The predictor does
    (BatchNorm), so its passes stay apart.
    """
    texture_a, texture_b = predictor(pair.a), predictor(pair.b)
    views = renderer(torch.cat([texture_a, texture_b, pair.texture]))
    view_a, view_b, view_true = views.chunk(3)
    return Outputs(texture_a, texture_b, view_a, view_b, view_true, predictor(view_true))
