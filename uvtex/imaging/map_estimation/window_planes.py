"""Planes of whole windows, found by the sum of their pixels' evidence.

Where the liveries are flat, no pixel alone tells its place from others, and its neighbours agree on
a wrong one. A window tells more: for a slope of the map and for every texel, the evidence of its
pixels is summed, each at the texel that it shows if the window's middle shows that one. The highest
sums are candidates for all pixels of the window. This is a generalized Hough transform (Ballard
1981), whose votes are log likelihoods with a floor (Stephens 1991). The planes that the pixels of
overlapping windows share are the locally shared labels of Taniai, Matsushita and Naemura (2014).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from uvtex.imaging.map_estimation.candidates import Candidates
from uvtex.imaging.map_estimation.footprints import ATLAS
from uvtex.imaging.map_estimation.pixel_grid import PixelGrid

SIDE = 8
"""Side of a window, in pixels. Windows overlap by half."""
FULL = 0.25
"""The least share of a window that are pixels of the grid."""
TRUSTED = 0.7
"""The largest share of a window's pixels that are trusted. The others' places are known."""
FLOOR = 8.0
"""How far the evidence of a pixel falls below its own best at most: one pixel decides little."""
NEAR, SLOPES = 60, 6
"""Number of trusted pixels whose slopes are looked at, and of those that are tried."""
ALIKE = 4.0
"""Distance of slopes from which they are not alike, in units of positions a pixel."""
TURNS = torch.tensor([[[1.0], [1.0]], [[-1.0], [1.0]], [[1.0], [-1.0]], [[-1.0], [-1.0]]])
"""The window's own slope is also tried turned over in u, in v, and in both."""
HIGHEST, PLANES = 4, 4
"""Number of peaks of a slope that are looked at, and of planes of a window that are kept."""
APART = 8.0
"""Distance from which planes are two, of middles and of what the slopes make of a third of SIDE."""


class Windows(NamedTuple):
    """W windows of SIDE by SIDE pixels."""

    member: Tensor  # int64 [W, N]: numbers of the pixels, row by row; -1 where there is none
    middle: Tensor  # float [W, 2]: row and column
    corner: Tensor  # int64 [W]: which of the four windows over one pixel it is


def window_planes(
    table: Tensor, grid: PixelGrid, slope: Tensor, trusted: Tensor
) -> tuple[Candidates, Tensor]:
    """The planes of the windows over each pixel, and whether each is there.

    Args:
        table: float [P, T * T]: the evidence of every pixel for every texel.
        slope: float [P, 2, 2]: of the map so far.
        trusted: bool [P], of which there is at least one.

    Returns:
        Candidates [P, 4 * PLANES], and bool [P, 4 * PLANES].
    """
    windows = _windows(grid, trusted)
    if not len(windows.member):
        none = slope[:, None][:, :0]
        return Candidates(none[..., 0], none), torch.zeros(len(slope), 0, dtype=torch.bool)
    offset = _offsets()
    tried = _slopes_tried(windows, grid, slope, trusted)
    middle, tilt, height = _highest(table, windows, tried)
    window, place = _over_pixels(windows, len(grid.points))
    slopes = tilt[window]
    onwards = middle[window] + torch.einsum("pckij,pcj->pcki", slopes, offset[place])
    held = onwards.clamp(0, ATLAS)
    there = (window >= 0)[..., None] & (height[window] > 0) & (held == onwards).all(dim=-1)
    return Candidates(held.flatten(1, 2), slopes.flatten(1, 2)), there.flatten(1)


def _windows(grid: PixelGrid, trusted: Tensor) -> Windows:
    """Those that are full enough and not trusted."""
    step = SIDE // 2
    number = F.pad(grid.number, (step, SIDE, step, SIDE), value=-1)
    every = number.unfold(0, SIDE, step).unfold(1, SIDE, step)
    rows, columns = every.shape[:2]
    every = every.reshape(rows * columns, SIDE * SIDE)
    there = every >= 0
    count = there.sum(dim=1)
    sure = (there & trusted[every.clamp_min(0)]).sum(dim=1)
    chosen = (count >= FULL * SIDE * SIDE) & (sure <= TRUSTED * count)
    down, right = chosen.nonzero()[:, 0] // columns, chosen.nonzero()[:, 0] % columns
    middle = torch.stack([down, right], dim=1) * step - step + (SIDE - 1) / 2
    return Windows(every[chosen], middle, down % 2 * 2 + right % 2)


def _offsets() -> Tensor:
    """The pixels of a window from its middle, as vectors x, y, float [N, 2]."""
    span = torch.arange(SIDE) - (SIDE - 1) / 2
    return torch.cartesian_prod(span, span).flip(1)


def _slopes_tried(windows: Windows, grid: PixelGrid, slope: Tensor, trusted: Tensor) -> Tensor:
    """The slopes with which each window is tried, float [W, J, 2, 2]."""
    there = windows.member >= 0
    own = _typical(slope[windows.member.clamp_min(0)], there, 1)
    sure = trusted.nonzero()[:, 0]
    away = torch.cdist(windows.middle, grid.points[sure].float())
    near = sure[away.topk(min(NEAR, len(sure)), largest=False).indices]
    others = _typical(slope[near], torch.ones_like(near, dtype=torch.bool), SLOPES)
    return torch.cat([(own[:, :, None] * TURNS).flatten(1, 2), others], dim=1)


def _typical(slope: Tensor, there: Tensor, count: int) -> Tensor:
    """The ``count`` slopes that most others are like, one after the other: [W, count, 2, 2].

    Args:
        slope: float [W, N, 2, 2].
        there: bool [W, N]: those that count.
    """
    flat = slope.flatten(2)
    apart = torch.cdist(flat, flat).clamp_max(ALIKE)
    row = torch.arange(len(slope))
    nearest = torch.full_like(apart[:, 0], ALIKE)
    picked = []
    for _ in range(count):
        gain = ((nearest[:, :, None] - apart).clamp_min(0) * there[:, :, None]).sum(dim=1)
        picked.append(gain.masked_fill(~there, -1).argmax(dim=1))
        nearest = torch.minimum(nearest, apart[row, :, picked[-1]])
    return slope[row[:, None], torch.stack(picked, dim=1)]


def _highest(table: Tensor, windows: Windows, tried: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The planes of each window with the highest sums, apart from each other.

    Returns:
        The places of the middles, float [W, PLANES, 2], the slopes, [W, PLANES, 2, 2], and the
        mean evidence of a pixel above the floor, [W, PLANES]; not positive where there is none.
    """
    side = round(table.shape[1] ** 0.5)
    count, slopes = tried.shape[:2]
    middle = torch.zeros(count, slopes, HIGHEST, 2)
    height = torch.zeros(count, slopes, HIGHEST)
    steps = torch.einsum("wkij,nj->wkni", tried, _offsets()) * (side / ATLAS)
    steps = steps.round().long().clamp(-side, side)
    chequered = _offsets().sum(dim=1).long() % 2 == 0  # neighbours tell nearly the same
    for w, member in enumerate(windows.member):
        counts = (member >= 0) & chequered
        some = table[member[counts]]
        some = (some - some.amax(dim=1, keepdim=True) + FLOOR).clamp_min(0)
        votes = some.view(-1, side, side).numpy()
        sums = torch.from_numpy(_sums(votes, steps[w, :, counts].numpy())) / max(1, len(votes))
        middle[w], height[w] = _peaks(sums)
    tilt = tried[:, :, None].expand(-1, -1, HIGHEST, -1, -1).flatten(1, 2)
    return _apart(middle.flatten(1, 2), tilt, height.flatten(1))


def _sums(votes: np.ndarray, steps: np.ndarray) -> np.ndarray:
    """For each slope and each texel of the middle, the sum of the pixels' votes: [J, T, T].

    Args:
        votes: float [N, T, T].
        steps: int [J, N, 2]: texels from the middle's to a pixel's, x and y. Outside, no votes are.
    """
    side = votes.shape[1]
    sums = np.zeros((len(steps), side, side), dtype=np.float32)
    for whole, ways in zip(sums, steps.tolist(), strict=True):
        for vote, (x, y) in zip(votes, ways, strict=True):
            here = whole[max(0, -y) : side - max(0, y), max(0, -x) : side - max(0, x)]
            here += vote[max(0, y) : side + min(0, y), max(0, x) : side + min(0, x)]
    return sums


def _peaks(sums: Tensor) -> tuple[Tensor, Tensor]:
    """The highest peaks of each slope's sums [J, T, T]: places [J, HIGHEST, 2], and heights."""
    side = sums.shape[1]
    even = F.pad(sums, (0, side % 2, 0, side % 2))
    blocks, at = F.max_pool2d(even, 2, return_indices=True)
    top = F.max_pool2d(blocks, 3, 1, 1) == blocks
    heights = blocks.masked_fill(~top, 0).flatten(1)
    found = heights.new_zeros(len(sums), HIGHEST)
    index = torch.zeros_like(found, dtype=torch.int64)
    count = min(HIGHEST, heights.shape[1])
    found[:, :count], order = heights.topk(count, dim=1)
    index[:, :count] = at.flatten(1).gather(1, order)
    width = even.shape[2]
    places = torch.stack([index % width, index // width], dim=-1)
    return (places + 0.5) * (ATLAS / side), found


def _apart(middle: Tensor, slope: Tensor, height: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The highest PLANES of each window [W, K] that lie APART: places, slopes and heights."""
    plane = torch.cat([middle, slope.flatten(2) * (SIDE / 3)], dim=2)
    row = torch.arange(len(height))
    left, picked, heights = height, [], []
    for _ in range(PLANES):
        best = left.argmax(dim=1)
        picked.append(best)
        heights.append(left[row, best])
        near = (plane - plane[row, best][:, None]).norm(dim=2) < APART
        left = left.masked_fill(near, -1)
    index = torch.stack(picked, dim=1)
    return middle[row[:, None], index], slope[row[:, None], index], torch.stack(heights, dim=1)


def _over_pixels(windows: Windows, count: int) -> tuple[Tensor, Tensor]:
    """The four windows over each pixel, int64 [P, 4], -1 for none, and its place in each."""
    window = torch.full((count, 4), -1)
    place = torch.zeros(count, 4, dtype=torch.int64)
    number, at = (windows.member >= 0).nonzero(as_tuple=True)
    pixel, corner = windows.member[number, at], windows.corner[number]
    window[pixel, corner] = number
    place[pixel, corner] = at
    return window, place
