"""Trusted pixels: the planes that they continue far away, and the orientation that they share.

Where the liveries are flat, or the same on both sides of the car, wrong areas explain their pixels
as well as right ones. Such an area has no lead over other places, and in half of it the map is
turned over. So the planes of the pixels that can be trusted are offered to all others, at any
distance (seed and grow, as in quasi-dense stereo: Lhuillier and Quan 2002).
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from uvtex.imaging.map_estimation.candidates import NEVER, Candidates
from uvtex.imaging.map_estimation.footprints import ATLAS
from uvtex.imaging.map_estimation.pixel_grid import WINDOW, PixelGrid, rightwards, widely

LEAD, WIDE_LEAD, AGREEMENT = 1.0, 2.0, 0.5
"""What a trusted pixel has at least: log evidence over the best other place, the mean of that over
a wide window, and the share of the pixels around that lie on its plane."""
ON_PLANE = 3.0
"""Distance from a plane up to which a pixel lies on it, in a 256th of the atlas."""
LEAST_LEAD, MOST_LEAD = -2.0, 10.0
"""Bounds of a pixel's lead in its mean over a wide window."""
FEWEST = 20
"""Number of trusted pixels from which they tell something of the others."""
FAR = 24
"""Distance over which planes are continued, in pixels of a picture of 64."""
RAYS = ((0, 1), (0, -1), (1, 0), (-1, 0), (1, 1), (1, -1), (-1, 1), (-1, -1))
"""Directions (down, right) in which a pixel looks for a trusted one."""
RARE = 0.03
"""The least share of pixels that either orientation is thought to have."""
TURNED = 6.0
"""How often the log odds of an orientation count: neighbours turn over together."""
SMALL, LARGE = -2.0, 2.5
"""Logarithms of an area over the usual one that cost nothing. Outside, each costs as a normal
distribution does, up to LOST."""
LOST = 4.0


class Facing(NamedTuple):
    """The orientation of a camera's map, and the area that a pixel has in the atlas."""

    upright: Tensor  # float []: the share of pixels whose slope has a positive determinant
    area: Tensor  # float []: the median of the determinants' sizes
    often: float = TURNED

    @classmethod
    def of(cls, slope: Tensor, trusted: Tensor, often: float = TURNED) -> Facing:
        """That of trusted pixels, of which there is at least one.

        Args:
            slope: float [P, 2, 2].
            trusted: bool [P].
            often: how often the log odds of an orientation count.
        """
        area = torch.linalg.det(slope[trusted])
        upright = ((area > 0).float().sum() + 1) / (len(area) + 2)
        return cls(upright.clamp(RARE, 1 - RARE), area.abs().median().clamp_min(1e-6), often)

    def enlarged(self, ratio: float) -> Facing:
        """That of a picture with ``ratio`` times as many pixels along a side."""
        return Facing(self.upright, self.area / ratio**2)

    def log_prior(self, slope: Tensor) -> Tensor:
        """The log prior of slopes [..., 2, 2], float [...]. That of the usual slope is 0."""
        area = torch.linalg.det(slope) / self.area
        positive = torch.sigmoid(6 * area)
        turned = (self.upright * positive + (1 - self.upright) * (1 - positive)).log()
        turned = turned - torch.maximum(self.upright, 1 - self.upright).log()
        size = area.abs().clamp_min(1e-4).log()
        off = (size - SMALL).clamp_max(0).square() + (size - LARGE).clamp_min(0).square()
        found: Tensor = self.often * turned - (off / 2).clamp_max(LOST)
        return found


def trusted_pixels(
    position: Tensor,  # float [P, 2]
    slope: Tensor,  # float [P, 2, 2]
    evidence: Tensor,  # float [P]: of the positions
    others: Candidates,
    other_evidence: Tensor,  # float [P, K]: of the others
    apart: float,
    grid: PixelGrid,
) -> Tensor:
    """The pixels whose place can be trusted, bool [P].

    Args:
        apart: distance from which another candidate is another place.
    """
    elsewhere = (others.position - position[:, None]).norm(dim=-1) >= apart
    lead = evidence - other_evidence.masked_fill(~elsewhere, NEVER).amax(dim=1)
    agreeing = agreement(position, slope, grid, ON_PLANE) > AGREEMENT
    trusted: Tensor = (lead > LEAD) & (wide_lead(lead, grid) > WIDE_LEAD) & agreeing
    return trusted


def wide_lead(lead: Tensor, grid: PixelGrid) -> Tensor:
    """The mean of leads over a wide window, each in LEAST_LEAD to MOST_LEAD: float [P]."""
    return widely(lead.clamp(LEAST_LEAD, MOST_LEAD), grid)


def agreement(position: Tensor, slope: Tensor, grid: PixelGrid, within: float) -> Tensor:
    """The share of the pixels around each pixel that lie on its plane, float [P] in [0, 1].

    Args:
        position: float [P, 2].
        slope: float [P, 2, 2].
        within: distance from the plane up to which a pixel lies on it.
    """
    window = grid.neighbours(WINDOW)
    plane = position[:, None] + torch.einsum("pij,nj->pni", slope, rightwards(WINDOW))
    there = window >= 0
    miss = (plane - position[window.clamp_min(0)]).norm(dim=-1)
    share: Tensor = ((miss < within) & there).sum(dim=1) / there.sum(dim=1).clamp_min(1)
    return share


def far_planes(
    position: Tensor, slope: Tensor, trusted: Tensor, grid: PixelGrid
) -> tuple[Candidates, Tensor]:
    """The planes of the first trusted pixel in each of RAYS, and whether there is one.

    Args:
        position: float [P, 2].
        slope: float [P, 2, 2].
        trusted: bool [P].

    Returns:
        Candidates [P, 8], and bool [P, 8].
    """
    longest = max(grid.chosen.shape)
    steady = _steady_slopes(position, slope, trusted, grid, max(2, min(6, round(longest / 21))))
    number = grid.picture(torch.where(trusted, torch.arange(len(position)), -1), -1)
    found = torch.stack([_first_along(number, *ray)[grid.chosen] for ray in RAYS], dim=1)
    source = found.clamp_min(0)
    way = (grid.points[:, None] - grid.points[source]).flip(-1)
    near = way.abs().amax(dim=-1) <= max(1, round(FAR * longest / 64))
    onwards = position[source] + torch.einsum("pnij,pnj->pni", steady[source], way.float())
    held = onwards.clamp(0, ATLAS)
    there = (found >= 0) & near & (held == onwards).all(dim=-1)
    return Candidates(held, steady[source]), there


def _first_along(number: Tensor, down: int, right: int) -> Tensor:
    """The first number that is not -1 on the way from each pixel, its own left out: int [h, w].

    Args:
        number: int64 [h, w].
        down: direction of the way: -1, 0 or 1.
        right: likewise.
    """
    if not down:
        return _first_along(number.T, right, 0).T
    found = torch.full_like(number, -1)
    rows = range(len(number))
    for row in reversed(rows) if down > 0 else rows:
        if row + down not in rows:
            continue
        here = torch.where(number[row + down] >= 0, number[row + down], found[row + down])
        if right:
            here = here.roll(-right)
            here[-1 if right > 0 else 0] = -1
        found[row] = here
    return found


def _steady_slopes(
    position: Tensor, slope: Tensor, trusted: Tensor, grid: PixelGrid, reach: int
) -> Tensor:
    """Slopes fitted to the trusted pixels of a wide window that lie on the plane: [P, 2, 2].

    Those of pixels that are not trusted are not fitted.
    """
    offsets = tuple(
        (down, right)
        for down in range(-reach, reach + 1)
        for right in range(-reach, reach + 1)
        if (down, right) != (0, 0)
    )
    steps = rightwards(offsets)
    squares = (steps[:, :, None] * steps[:, None]).flatten(1)
    steady = slope.clone()
    for some in torch.split(trusted.nonzero()[:, 0], max(1, 2**18 // len(offsets))):
        near = grid.neighbours(offsets, some)
        counts = (near >= 0) & trusted[near.clamp_min(0)]
        apart = position[near.clamp_min(0)] - position[some, None]
        miss = (apart - torch.einsum("pij,nj->pni", slope[some], steps)).norm(dim=-1)
        weight = torch.where(counts, (1 + (miss / ON_PLANE) ** 2) ** -2, 0.0)
        normal = (weight @ squares).view(-1, 2, 2) + 0.05 * torch.eye(2)
        target = (weight[..., None] * apart).transpose(1, 2) @ steps + 0.05 * slope[some]
        steady[some] = torch.linalg.solve(normal, target.transpose(1, 2)).transpose(1, 2)
    return steady
