"""Panel seams: do the two sides of a cut in the unwrap show the same colours?

The energy of Liu, Ferguson, Jacobson and Gingold 2017 ("Seamless: seam erasure and seam-aware
decoupling of shape from mesh resolution"): the squared difference of the bilinearly sampled texture
between an edge's two places in the atlas, integrated along the edge.
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
"""Energy of a difference of 8 of 255 levels: a livery whose random pairs differ by less is judged
as if they differed by so much, or else a plain one would make a seam of a thousand out of noise."""
ROUNDS = 64

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Pairs:
    """Pairs of places in the atlas, and how much each counts."""

    a: Tensor  # [m, 2] UV
    b: Tensor  # [m, 2] UV
    weight: Tensor  # [m], sums to 1


@dataclass(frozen=True)
class Seams:
    """Both sides of a car's seams, weighted by length, and as many random pairs as far apart."""

    sides: Pairs
    random: Pairs


def energy(texture: Tensor, pairs: Pairs) -> Tensor:
    """Weighted mean of the squared difference between both places: [B]; differentiable.

    Args:
        texture: [B, C, S, S], row 0 is v = 1; sampled bilinearly, its border repeated.
    """
    return (_steps(texture, pairs) * pairs.weight).sum(dim=1)


def excess(texture: Tensor, true: Tensor, seams: Seams) -> Tensor:
    """How much the seams of ``texture`` show beyond those that ``true`` itself has: [B], >= 0.

    The energy that is more than the truth's own, place by place, in parts of that of random pairs
    of the true texture: 0 is nowhere more than the truth, 1 as if the two sides of a seam were any
    two places that lie as far apart in the atlas. Differentiable, so that it can be a loss.
    """
    # Place by place: a true edge that was lost must not pay for a seam that was made elsewhere.
    more = (_steps(texture, seams.sides) - _steps(true, seams.sides)).clamp_min(0)
    own = energy(true, seams.random).clamp_min(PLAIN)
    return (more * seams.sides.weight).sum(dim=1) / own


def read(folder: Path, covered: Tensor) -> Seams | None:
    """The seams of the data set in ``folder``; None where it says nothing of them, or has none.

    Args:
        covered: bool [S, S], texels that belong to the car, at the textures' size.

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
    """Points along edges [n, 2, 2], at least two a texel, and random pairs for them.

    The random pairs are the same for the same arguments. Those for which no two covered texels
    so far apart were found are left out.
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
    """Two places [m, 2] each on covered texels and ``apart`` [m], and for which they were found."""
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
    """Squared difference of each pair, mean over channels: [B, m]."""
    a, b = (_sampled(texture, at) for at in (pairs.a, pairs.b))
    return (a - b).square().mean(dim=1)


def _sampled(texture: Tensor, at: Tensor) -> Tensor:
    """Colours [B, C, m] at UVs [m, 2]."""
    u, v = at.unbind(dim=-1)
    grid = torch.stack([u * 2 - 1, 1 - v * 2], dim=-1)  # grid_sample counts downwards
    grid = grid.to(texture.dtype).expand(len(texture), 1, -1, -1)
    return F.grid_sample(texture, grid, padding_mode="border", align_corners=False)[:, :, 0]


SEAMS = "seams.npz"
"""Of built sets: ``a`` and ``b`` float [n, 2, 2], the UVs (u right, v up) of both ends of a mesh's
edge at its two places in the atlas, and ``length`` float [n], metres."""
