"""Measure UV seams: compare the colours on the two sides of each cut in the UV unwrap.

The measure is the seam energy of Liu, Ferguson, Jacobson and Gingold 2017 ("Seamless: seam erasure
and seam-aware decoupling of shape from mesh resolution"). An edge on a seam has two places in the
atlas. The energy is the squared difference of the bilinearly sampled texture between these two
places, integrated along the edge.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from uvtex.errors import DataError

PLAIN = (2 * 8 / 255) ** 2
"""The least energy of random pairs that :func:`excess` divides by.

It is the energy of a difference of 8 of 255 levels. Without this limit, noise on a plain livery
would give an excess of a thousand.
"""
ROUNDS = 64
"""The largest number of attempts to find a random pair."""

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Pairs:
    """Pairs of places in the atlas, with weights."""

    a: Tensor  # [m, 2] UV
    b: Tensor  # [m, 2] UV
    weight: Tensor  # [m], sums to 1


@dataclass(frozen=True)
class Seams:
    """Pairs of places on the two sides of a car's seams, and random pairs for comparison.

    The weights follow the seams' lengths. Each random pair has the distance of one seam pair.
    """

    sides: Pairs
    random: Pairs


def energy(texture: Tensor, pairs: Pairs) -> Tensor:
    """Weighted mean of the squared difference between the two places: [B]. Differentiable.

    Args:
        texture: [B, C, S, S]. Row 0 is v = 1. Sampling is bilinear and repeats the border.
    """
    return (_steps(texture, pairs) * pairs.weight).sum(dim=1)


def excess(texture: Tensor, true: Tensor, seams: Seams) -> Tensor:
    """The seam energy of ``texture`` above the seam energy of ``true``: [B], >= 0.

    The function compares the two energies at each place and adds up the positive differences. It
    divides the sum by the energy of random pairs of the true texture. The result is 0 if no place
    has more energy than in the true texture. It is 1 if the two sides of a seam differ as much as
    two random places at the same distance in the atlas. The function is differentiable and can be
    a loss.
    """
    # The comparison is per place. A lost edge of the true texture must not cancel a new seam at
    # another place.
    more = (_steps(texture, seams.sides) - _steps(true, seams.sides)).clamp_min(0)
    own = energy(true, seams.random).clamp_min(PLAIN)
    return (more * seams.sides.weight).sum(dim=1) / own


def read(folder: Path, covered: Tensor) -> Seams | None:
    """Read the seams of the data set in ``folder``. None if the file is missing or has no edges.

    Args:
        covered: bool [S, S], the texels that belong to the car, in the size of the textures.

    Raises:
        DataError: the file is broken.
    """
    path = folder / SEAMS
    if not path.exists():
        return None
    try:
        with np.load(path, allow_pickle=False) as archive:
            a, b, length = (archive[name].astype(np.float64) for name in ("a", "b", "length"))
        if a.shape != (len(length), 2, 2) or b.shape != a.shape or not np.isfinite(a + b).all():
            raise ValueError
    except Exception:  # numpy raises nearly anything on broken archives
        raise DataError(
            f"{path}: not readable; it holds `a` and `b` [n, 2, 2] and `length` [n]. Build the set "
            "again, or delete the file: seams are then not measured"
        ) from None
    return None if len(length) == 0 else sampled(a, b, length, covered)


def sampled(a: Floats, b: Floats, length: Floats, covered: Tensor) -> Seams:
    """Sample points along edges [n, 2, 2], at least two per texel, and draw random pairs for them.

    The random pairs are the same for the same arguments. A pair is left out if no two covered
    texels were found at its distance.
    """
    size = covered.shape[0]
    texels = np.maximum(*(np.linalg.norm(side[:, 1] - side[:, 0], axis=1) for side in (a, b)))
    count = np.ceil(2 * size * texels).astype(np.int64).clip(1)
    edge = np.repeat(np.arange(len(count)), count)
    step = np.arange(len(edge)) - np.repeat(np.cumsum(count) - count, count)
    along = ((step + 0.5) / count[edge])[:, None]
    p, q = (side[edge, 0] * (1 - along) + side[edge, 1] * along for side in (a, b))
    weight = (length / count)[edge]
    c, d, found = _random_pairs(np.linalg.norm(p - q, axis=1), covered.cpu().numpy())
    device = covered.device
    return Seams(_pairs(p, q, weight, device), _pairs(c[found], d[found], weight[found], device))


def _pairs(a: Floats, b: Floats, weight: Floats, device: torch.device) -> Pairs:
    share = weight / max(float(weight.sum()), 1e-12)
    return Pairs(*(torch.from_numpy(part).float().to(device) for part in (a, b, share)))


def _random_pairs(
    apart: Floats, covered: NDArray[np.bool_]
) -> tuple[Floats, Floats, NDArray[np.bool_]]:
    """Draw pairs of places on covered texels at the distances ``apart`` [m].

    Returns:
        The first places [m, 2], the second places [m, 2], and bool [m], true for found pairs.
    """
    rng = np.random.default_rng(0)
    size = len(covered)
    rows, columns = np.nonzero(covered)
    p, q = np.zeros((len(apart), 2)), np.zeros((len(apart), 2))
    found = np.zeros(len(apart), dtype=bool)
    for _ in range(ROUNDS if len(rows) else 0):
        left = np.flatnonzero(~found)
        texel = rng.integers(len(rows), size=len(left))
        corner = np.stack([columns[texel], size - 1 - rows[texel]], 1)
        p[left] = (corner + rng.random((len(left), 2))) / size
        angle = rng.uniform(0, 2 * np.pi, len(left))
        q[left] = p[left] + apart[left, None] * np.stack([np.cos(angle), np.sin(angle)], 1)
        row, column = ((1 - q[left, 1]) * size).astype(int), (q[left, 0] * size).astype(int)
        inside = (q[left] > 0).all(1) & (q[left] < 1).all(1)
        found[left] = inside & covered[row.clip(0, size - 1), column.clip(0, size - 1)]
    return p, q, found


def _steps(texture: Tensor, pairs: Pairs) -> Tensor:
    """Squared difference of each pair, averaged over the channels: [B, m]."""
    a, b = (_sampled(texture, at) for at in (pairs.a, pairs.b))
    return (a - b).square().mean(dim=1)


def _sampled(texture: Tensor, at: Tensor) -> Tensor:
    """Colours [B, C, m] at UVs [m, 2]."""
    u, v = at.unbind(dim=-1)
    grid = torch.stack([u * 2 - 1, 1 - v * 2], dim=-1)  # the y of grid_sample points down
    grid = grid.to(texture.dtype).expand(len(texture), 1, -1, -1)
    return F.grid_sample(texture, grid, padding_mode="border", align_corners=False)[:, :, 0]


SEAMS = "seams.npz"
"""The file of seams in a built data set.

``a`` and ``b``, float [n, 2, 2], are the UVs (u right, v up) of both ends of a mesh edge. ``a``
holds the edge's first place in the atlas and ``b`` holds its second place. ``length``, float [n],
is the edge's length in metres.
"""
