"""Small shifts and changes of scale between pictures of one scene, by its edges.

The orientation of edges is compared, not their strength (orientation correlation: Fitch et al.
2002): the paint changes from view to view, and its edges average out in the reference. What remains
is what does not change: tyres, glass, the outline, the backdrop.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import Tensor

from uvtex.imaging.registration.similarity import brought_back, displacement, joined

FARTHEST = 0.08
"""Largest shift, as a share of the picture's longer side."""
STILL = 0.2
"""Displacement up to which a view counts as still, in pixels. It is about the error of the method.
"""
UNSCALED = 0.3
"""Displacement of the border, in pixels, up to which a view counts as of the same scale."""
QUARTER = 16
"""Least side of a quarter of a picture, in pixels, by which the scale is measured."""
ROUNDS = 4
"""Measurements of a view, each of what the one before has left."""


def edge_reference(views: Iterable[Tensor]) -> Tensor:
    """Mean orientation of edges of views uint8 or float [..., 3, h, w], at least one.

    It is complex [..., h, w].
    """
    total, count = torch.zeros(()), 0
    for view in views:
        total, count = total + _orientation(view[None])[0], count + 1
    return total / count


def move_between(reference: Tensor, view: Tensor) -> Tensor:
    """How ``view`` float [3, h, w] lies off ``reference`` [h, w], without a turn: a move [4].

    Moves: see :mod:`uvtex.imaging.registration.similarity`.
    """
    unit = max(view.shape[-2:]) / 2
    move = torch.zeros(4, dtype=torch.float64)
    for _ in range(ROUNDS):
        there = brought_back(view[None], move[None])[0]
        shift = peaks(edge_fits(reference[None], there[None, None]))[0][0, 0].double() / unit
        growth = _growth_between(reference, there).double().log1p()
        left = torch.cat([shift, torch.stack([growth, torch.zeros_like(growth)])])
        move = joined(move, left)
        if float(displacement(left)) * unit <= STILL / 4:
            break
    return move


def _growth_between(reference: Tensor, view: Tensor) -> Tensor:
    """How much larger ``view`` shows what ``reference`` shows, in parts of its size: float [].

    When a picture grows, its quarters move apart. They do so across and down alike; else it is 0.
    The car lies nearer to the middle than the quarters do, so not all of it is found at once.
    """
    size = reference.shape
    if min(size) < 2 * QUARTER:
        return torch.zeros(())
    shifts = torch.stack(
        [
            peaks(edge_fits(reference[None, rows, columns], view[None, None, :, rows, columns]))[0]
            for rows in (slice(0, size[0] // 2), slice(size[0] // 2, None))
            for columns in (slice(0, size[1] // 2), slice(size[1] // 2, None))
        ]
    ).view(2, 2, 2)
    across = 2 * (shifts[:, 1, 0] - shifts[:, 0, 0]).mean() / size[1]
    down = 2 * (shifts[1, :, 1] - shifts[0, :, 1]).mean() / size[0]
    growth = (across + down) / 2
    alike = (across - down).abs() <= growth.abs()
    far = growth.abs() * max(size) / 2 > UNSCALED
    return growth if bool(alike & far) else torch.zeros(())


def edge_fits(reference: Tensor, views: Tensor) -> Tensor:
    """How well the edges of views fit at each shift by whole pixels: [B, A, n, n].

    Rows are shifts down, columns shifts to the right, n - 1 times FARTHEST of the longer side at
    most, with no shift in the middle. The mean over all shifts of a picture is 0.

    Args:
        reference: complex [B, h, w], of :func:`edge_reference`.
        views: uint8 or float [B, A, 3, h, w].
    """
    height, width = reference.shape[1:]
    there = torch.fft.fft2(_orientation(views))
    fit = torch.fft.ifft2(there * torch.fft.fft2(reference).conj()[:, None]).real
    reach = max(2, round(FARTHEST * max(height, width)))
    reach = min(reach, (min(height, width) - 1) // 2)
    span = torch.arange(-reach, reach + 1, device=fit.device)
    near = fit.index_select(2, span % height).index_select(3, span % width)
    centred: Tensor = near - fit.mean(dim=(2, 3), keepdim=True)
    return centred


def peaks(fits: Tensor) -> tuple[Tensor, Tensor]:
    """The shifts [B, A, 2], right and down in pixels, with the best fits, and these fits [B, A].

    Args:
        fits: [B, A, n, n] of :func:`edge_fits`.
    """
    count = fits.shape[-1]
    near = fits.flatten(2)
    best, place = near.max(dim=2)
    row, column = place // count, place % count
    right = column - count // 2 + _between(near, place, 1, column, count)
    down = row - count // 2 + _between(near, place, count, row, count)
    return torch.stack([right, down], dim=2), best


def _orientation(views: Tensor) -> Tensor:
    """The orientation of the edges of views [..., 3, h, w]: complex [..., h, w]."""
    grey = F.pad(views.float().mean(dim=-3).flatten(0, -3)[:, None], (1, 1, 1, 1), mode="replicate")
    right, down = (
        grey[..., 1:-1, 2:] - grey[..., 1:-1, :-2],
        grey[..., 2:, 1:-1] - grey[..., :-2, 1:-1],
    )
    edge = torch.complex(right, down)
    return (edge / (edge.abs() + 4.0)).reshape(*views.shape[:-3], *views.shape[-2:])


def _between(near: Tensor, place: Tensor, step: int, along: Tensor, count: int) -> Tensor:
    """Offset of the peak of a parabola through three values, in [-0.5, 0.5].

    Args:
        near: [B, A, count * count], and ``place`` [B, A] the peak's index.
        step: distance of the two neighbours' indices.
        along: the peak's row or column, of ``count``.
    """
    last = near.shape[2] - 1
    before, here, after = (
        near.gather(2, (place + d).clamp(0, last)[..., None])[..., 0] for d in (-step, 0, step)
    )
    bend = before - 2 * here + after
    inner = (along > 0) & (along < count - 1) & (bend < 0)
    return torch.where(inner, 0.5 * (before - after) / torch.where(inner, bend, 1.0), 0.0)
