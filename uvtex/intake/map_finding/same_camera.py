"""Groups views that no one named a camera for, by what does not change between liveries.

Tyres, glass, the outline and the edges of the backdrop are the same in all views of a still camera.
Flat pixels say nothing: a showroom's wall is behind every car.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch.nn.functional as F
from scipy.cluster import hierarchy
from scipy.spatial.distance import squareform
from torch import Tensor

EDGE = 24.0
"""Least difference across a pixel, in levels of 255, of a pixel that is part of an edge."""
SAME = 8.0
"""Largest difference of an edge pixel that is the same in two views, in levels."""
ALIKE = 0.17
"""Least mean share of edge pixels that are the same, between two groups of one camera."""
FEWEST = 20
"""Number of edge pixels that two views must share for their share to count in full."""
COMPARED = 400
"""Number of views that are compared with each other. The others join their groups."""


def group_views(views: Tensor, liveries: Sequence[str]) -> list[int]:
    """The number of each view's camera, counted from 0 in the order of the views.

    Two views of one livery are of two cameras.

    Args:
        views: uint8 or float [N, 3, s, s], in [0, 255]. 48 pixels are enough.
        liveries: the livery of each view.
    """
    views = views.float()
    first = views[:COMPARED]
    likeness = _likeness(first, first)
    likeness = (likeness + likeness.T) / 2
    names = np.array(liveries)
    likeness[names[: len(first), None] == names[None, : len(first)]] = 0
    np.fill_diagonal(likeness, 1)
    if len(first) < 2:
        return [0] * len(views)
    tree = hierarchy.average(squareform(1 - likeness, checks=False))
    groups = hierarchy.fcluster(tree, 1 - ALIKE, criterion="distance").tolist()
    if len(views) > COMPARED:
        others = _likeness(views[COMPARED:], first)
        shares = np.stack(
            [others[:, np.array(groups) == g].mean(axis=1) for g in sorted({*groups})]
        )
        best = shares.argmax(axis=0)
        alone = len(shares) + 1 + np.arange(len(best))
        groups += np.where(shares.max(axis=0) >= ALIKE, best + 1, alone).tolist()
    order: dict[int, int] = {}
    return [order.setdefault(group, len(order)) for group in groups]


def _likeness(some: Tensor, others: Tensor) -> np.ndarray:
    """For each pair, the share of the edge pixels that are the same in both: [n, m] in [0, 1]."""
    edges, other_edges = _edges(some), _edges(others)
    shares = np.zeros((len(some), len(others)), dtype=np.float64)
    for k, view in enumerate(some):
        same = (view - others).abs().amax(dim=1) <= SAME
        edge = edges[k] & other_edges
        count = edge.sum(dim=(1, 2)).clamp_min(FEWEST)
        shares[k] = ((same & edge).sum(dim=(1, 2)) / count).numpy()
    return shares


def _edges(views: Tensor) -> Tensor:
    """bool [N, s, s]."""
    grey = views.mean(dim=1)
    across = (grey[:, :, 2:] - grey[:, :, :-2]).abs()
    down = (grey[:, 2:] - grey[:, :-2]).abs()
    found: Tensor = F.pad(across, (1, 1)) + F.pad(down, (0, 0, 1, 1)) > EDGE
    return found


def small(view: Tensor) -> Tensor:
    """A view, uint8 [3, h, w], as float [3, 48, 48] in [0, 255]."""
    return F.interpolate(view[None].float(), size=(48, 48), mode="area")[0]
