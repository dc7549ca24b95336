"""Small shifts between the shots of a camera that was held by hand, or was put back.

The orientation of edges is compared, not their strength (orientation correlation: Fitch et al.
2002): the paint changes from view to view, and its edges average out in the reference. What remains
is what does not change: tyres, glass, the outline, the backdrop.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import Tensor

FARTHEST = 0.08
"""Largest shift, as a share of the picture's longer side."""
APART = 3
"""Distance from which on two shifts are different places, in pixels."""
STILL = 0.2
"""Shift up to which a view counts as still, in pixels. It is about the error of the method."""


def edge_reference(views: Iterable[Tensor]) -> Tensor:
    """Mean orientation of edges of views uint8 or float [3, h, w], at least one: complex [h, w]."""
    total, count = torch.zeros(()), 0
    for view in views:
        total, count = total + _orientation(view), count + 1
    return total / count


def shift_between(reference: Tensor, view: Tensor) -> Tensor:
    """How far ``view`` [3, h, w] lies right of and below ``reference``, float [2], in pixels."""
    return place_between(reference, view)[0]


def place_between(reference: Tensor, view: Tensor) -> tuple[Tensor, float]:
    """The shift of :func:`shift_between`, and its fit in parts of the best fit of another place.

    The ratio of the best to the second best tells a true match from a chance one (Lowe 2004).
    """
    height, width = reference.shape
    there = torch.fft.fft2(_orientation(view))
    fit = torch.fft.ifft2(there * torch.fft.fft2(reference).conj()).real
    reach = max(2, round(FARTHEST * max(height, width)))
    reach = min(reach, (min(height, width) - 1) // 2)
    span = torch.arange(-reach, reach + 1)
    near = fit[span % height][:, span % width]
    row, column = divmod(int(near.argmax()), len(span))
    down = int(span[row]) + _between(near[:, column], row)
    right = int(span[column]) + _between(near[row], column)
    best, others = near[row, column], (near - fit.mean()).clone()
    others[max(0, row - APART) : row + APART + 1, max(0, column - APART) : column + APART + 1] = 0
    ratio = (best - fit.mean()) / others.max().clamp_min(1e-12)
    return torch.tensor([right, down]), float(ratio)


def register(views: Tensor) -> Tensor:
    """The shift of each view from the middle of all, float [L, 2]; zeros where the camera stands.

    Args:
        views: uint8 [L, 3, h, w], one of each livery.
    """
    shifts = torch.zeros(len(views), 2)
    for _ in range(3):
        reference = edge_reference(map(moved, views, shifts))
        shifts = torch.stack([shift_between(reference, view) for view in views])
        shifts = shifts - shifts.median(dim=0).values
        if shifts.norm(dim=1).max() <= STILL:
            return torch.zeros_like(shifts)
    return torch.where(shifts.norm(dim=1, keepdim=True) <= STILL, 0.0, shifts)


def moved(view: Tensor, shift: Tensor) -> Tensor:
    """``view`` [3, h, w], shifted back by ``shift`` pixels: float, in the view's units."""
    if not shift.any():
        return view.float()
    height, width = view.shape[-2:]
    x = (torch.arange(width) + 0.5 + shift[0]) / width * 2 - 1
    y = (torch.arange(height) + 0.5 + shift[1]) / height * 2 - 1
    grid = torch.stack(torch.meshgrid(x, y, indexing="xy"), dim=-1)[None]
    back = F.grid_sample(
        view[None].float(), grid, mode="bicubic", padding_mode="border", align_corners=False
    )
    return back[0].clamp(0, 255)


def _orientation(view: Tensor) -> Tensor:
    grey = F.pad(view.float().mean(dim=0)[None], (1, 1, 1, 1), mode="replicate")[0]
    right, down = grey[1:-1, 2:] - grey[1:-1, :-2], grey[2:, 1:-1] - grey[:-2, 1:-1]
    edge = torch.complex(right, down)
    return edge / (edge.abs() + 4.0)


def _between(values: Tensor, place: int) -> float:
    """Offset of the peak of a parabola through three values, in [-0.5, 0.5]."""
    if not 0 < place < len(values) - 1:
        return 0.0
    before, here, after = values[place - 1 : place + 2].tolist()
    bend = before - 2 * here + after
    return 0.0 if bend >= 0 else 0.5 * (before - after) / bend
