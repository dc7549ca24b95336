"""What speaks for the place that each pixel of a map was given."""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch
from scipy.spatial import cKDTree
from torch import Tensor

from uvtex.imaging.map_estimation.candidates import NEVER
from uvtex.imaging.map_estimation.edge_pixels.divide import Divided
from uvtex.imaging.map_estimation.levels import Solved
from uvtex.imaging.map_estimation.pixel_grid import NEAREST, PixelGrid, rightwards, widely
from uvtex.imaging.map_estimation.trusted import agreement, wide_lead

ON_PLANE = 2.0
"""Distance from a pixel's plane up to which another pixel lies on it, in a 256th of the atlas."""
APART = 6.0
"""Distance from which another candidate is another hypothesis."""
ALONE = 6.0
"""The distance from the planes around of a pixel that has no pixels around."""
CLAIMS = 60
"""Number of pixels with the nearest places that are looked at for :attr:`Support.crowding`."""
CLAIMED = 0.7
"""Distance of two places, over the way that the map goes in a pixel, up to which they are one."""
NARROWEST, WIDEST = 0.7, 6.0
"""Bounds of that way."""
ELSEWHERE = 8
"""Distance in the picture, in pixels, from which two pixels cannot show the same place."""


@dataclass(frozen=True)
class Support:
    """What speaks for the position of each of P pixels. All are float [P]."""

    lead: Tensor  # log evidence over the best other hypothesis
    least_lead: Tensor  # the least of it among the pixel and the eight around
    wide_lead: Tensor  # its mean over a wide window, each in LEAST_LEAD to MOST_LEAD of `trusted`
    deviation: Tensor  # log of the standard deviation
    agreement: Tensor  # in [0, 1]: share of the window that lies on the pixel's plane
    wide_agreement: Tensor  # in [0, 1]: its mean over a wide window
    roughness: Tensor  # log of the median distance from the planes of the eight pixels around
    misfit: Tensor  # log of the distance from the line over the camera's noise
    reach: Tensor  # log of the way that the map goes in a pixel
    relative_reach: Tensor  # likewise, over the camera's median
    stretch: Tensor  # log of that way over the way across it
    crowding: Tensor  # number of pixels elsewhere that show the place, for each near one

    @classmethod
    def names(cls) -> list[str]:
        """The names of the features, in order."""
        return [field.name for field in fields(cls)]

    @classmethod
    def none(cls) -> Support:
        """That of no pixels."""
        return cls(*[torch.zeros(0)] * len(cls.names()))

    def features(self) -> Tensor:
        """The features side by side, float [P, F]."""
        return torch.stack([getattr(self, name) for name in self.names()], dim=1)


def support(
    parts: Divided,
    solved: Solved,
    misfit: Tensor,  # float [P]: as in Support
) -> Support:
    """Gathers the support of each pixel."""
    position, slope, grid = parts.position, solved.slope, solved.grid
    elsewhere = (solved.others.position - position[:, None]).norm(dim=-1) >= APART
    best_other = solved.other_evidence.masked_fill(~elsewhere, NEVER).amax(dim=1)
    lead = parts.evidence - best_other
    agreeing = agreement(position, slope, grid, ON_PLANE)
    ways = torch.linalg.svdvals(slope).clamp_min(1e-3).log()
    reach = slope.flatten(1).norm(dim=1).clamp_min(1e-2).log()
    return Support(
        lead=lead,
        least_lead=least_around(lead, grid),
        wide_lead=wide_lead(lead, grid),
        deviation=solved.spread.deviation().clamp_min(1e-3).log(),
        agreement=agreeing,
        wide_agreement=widely(agreeing, grid),
        roughness=roughness(position, slope, grid),
        misfit=misfit,
        reach=reach,
        relative_reach=reach - reach.median(),
        stretch=ways[:, 0] - ways[:, 1],
        crowding=crowding(position, reach.exp(), grid),
    )


def least_around(values: Tensor, grid: PixelGrid) -> Tensor:
    """The least value among a pixel and the eight around it."""
    near = grid.neighbours(NEAREST)
    around = values[near.clamp_min(0)].masked_fill(near < 0, torch.inf)
    return torch.minimum(values, around.amin(dim=1))


def roughness(position: Tensor, slope: Tensor, grid: PixelGrid) -> Tensor:
    """Log of the median distance of a pixel's place from the planes of the eight pixels around.

    Where colours tell the places, they lie on the planes to a small part of a texel. Where they do
    not, noise moves the places.

    Args:
        position: float [P, 2].
        slope: float [P, 2, 2].
    """
    near = grid.neighbours(NEAREST)
    other = near.clamp_min(0)
    plane = position[other] - torch.einsum("pnij,nj->pni", slope[other], rightwards(NEAREST))
    miss = (plane - position[:, None]).norm(dim=-1).masked_fill(near < 0, torch.nan)
    median: Tensor = miss.nanmedian(dim=1).values.nan_to_num(ALONE)
    found: Tensor = median.clamp_min(1e-3).log()
    return found


def crowding(position: Tensor, reach: Tensor, grid: PixelGrid) -> Tensor:
    """The number of pixels elsewhere in the picture that show a pixel's place, for each near one.

    A camera sees a texel once, but for texels that two places of a car share. The CLAIMS pixels
    with the nearest places are looked at.

    Args:
        position: float [P, 2].
        reach: float [P]: the way that the map goes in a pixel.
    """
    if not len(position):
        return torch.zeros(0)
    places = position.numpy()
    tree, nearest = cKDTree(places), range(1, min(CLAIMS, len(places)) + 1)
    parts = []
    for some in torch.split(torch.arange(len(places)), 8192):
        far, number = (torch.from_numpy(found) for found in tree.query(places[some], k=nearest))
        same = far < CLAIMED * reach[some].clamp(NARROWEST, WIDEST)[:, None]
        apart = (grid.points[number] - grid.points[some, None]).abs().amax(dim=-1)
        count = (same & (apart <= ELSEWHERE)).sum(dim=1).clamp_min(1)
        parts.append((same & (apart > ELSEWHERE)).sum(dim=1) / count)
    return torch.cat(parts)
