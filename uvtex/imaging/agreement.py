"""Whether several views can show one livery: a comparison of the texels that two of them see."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from scipy import sparse
from torch import Tensor

CONTRADICTION = 0.25
"""Mean difference in colour, on [-1, 1], from which on two views contradict each other.

Of views of one livery 99 % differed by at most 0.194 and all by at most 0.223; of views of two
liveries 99 % differed by at least 0.303 and all by at least 0.228 (48 pixels, 6 liveries that
training has not seen, 8 cameras: docs/log.md, 2026-11-27).
"""
AROUND = 5
"""Side of the neighbourhood over which differences are averaged, in texels."""
OVERLAP = 0.015
"""Least share of the texels that both views must see for a comparison."""


@dataclass(frozen=True)
class Agreement:
    """Groups of views that agree, the largest first, and the views that nothing can be said of."""

    groups: list[list[int]]
    """Views that agree with another view of their group, and contradict the other groups."""
    unchecked: list[int]
    """Views that share too few texels with every other view."""

    @property
    def decided(self) -> bool:
        """Whether one group holds more than half of the views that were compared."""
        sizes = [len(group) for group in self.groups]
        return not sizes or 2 * sizes[0] > sum(sizes)


def compare(colours: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """How much each two of V views differ, and how many texels both show: [V, V] each.

    Args:
        colours: [V, 3, S, S] in [-1, 1], what each view shows of each texel.
        weights: [V, 1, S, S], how well; 0 for a texel that the view does not see.
    """
    count = len(colours)
    differs, shared = torch.zeros(count, count), torch.zeros(count, count)
    for i in range(count):
        common = torch.minimum(weights[i], weights)
        # Signed differences: where a fine pattern aliases, those of near texels cancel out.
        near = _sums(common).clamp_min(1e-9)
        error = (_sums((colours[i] - colours) * common) / near).abs().mean(dim=1, keepdim=True)
        total = common.sum(dim=(1, 2, 3)).clamp_min(1e-9)
        differs[i] = ((error * common).sum(dim=(1, 2, 3)) / total).cpu()
        shared[i] = (common > 0).float().mean(dim=(1, 2, 3)).cpu()
    return differs, shared


def _sums(values: Tensor) -> Tensor:
    """Sums over AROUND by AROUND texels, in parts of their number."""
    return F.avg_pool2d(values, AROUND, stride=1, padding=AROUND // 2)


def agreement(differs: Tensor, shared: Tensor) -> Agreement:
    """Groups the views by the result of :func:`compare`."""
    compared = (shared >= OVERLAP).numpy()
    np.fill_diagonal(compared, False)
    agrees = compared & (differs < CONTRADICTION).numpy()
    _, label = sparse.csgraph.connected_components(sparse.csr_array(agrees), directed=False)
    judged = compared.any(axis=1)
    groups = [np.flatnonzero((label == k) & judged).tolist() for k in np.unique(label)]
    groups = sorted((group for group in groups if group), key=len, reverse=True)
    return Agreement(groups, np.flatnonzero(~judged).tolist())
