"""How photos lie to their cameras: shift, scale and turn, by what no livery changes.

A camera's light maps hold glass, tyres and outline as every photo of the camera shows them. First
the orientation of edges is compared at several scales and turns, with the paint in several greys,
so that only edges remain that any paint leaves
(:mod:`uvtex.imaging.map_estimation.registration`). Then shift, scale and turn are refined by
Gauss-Newton steps on the pixels between the painted ones (Lucas and Kanade 1981), with Tukey's
weights. Backdrop and floor are not among them: they differ from place to place. Brightness and
contrast of each channel are free in each block of pixels, as they are for a whole picture in the
enhanced correlation coefficient of Evangelidis and Psarakis (2008).

A place counts only if it explains the blocks' variance, and these pixels better than the photo's
own place does, by more than their blocks differ among themselves.

:func:`place` works on a batch and takes no decision outside of tensors, so an exported program
holds it too.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from uvtex.imaging.full_size import ViewGeometry
from uvtex.imaging.map_estimation.registration import FARTHEST, STILL
from uvtex.imaging.placing.edges import TURNS, by_edges
from uvtex.imaging.placing.fit import Fit
from uvtex.imaging.placing.known import MARGIN, SMALLEST, Known, known_of

__all__ = [
    "AS_IT_LIES",
    "MARGIN",
    "UNKNOWN",
    "Known",
    "Placement",
    "can_place",
    "for_placing",
    "known_of",
    "place",
    "placement",
]

EXPLAINED = 0.5
"""Least share of the variance of the pixels without paint that a place must explain.

Noise and other cameras' photos gave at most 0.25 (58 pictures), photos within the bounds 0.79 and
more (192, in six studios), with light of 256 pixels.
"""
LARGEST = 256
"""Largest side of the light, in pixels. Finer light would take time alone."""
APART = 3
"""Distance up to which a place that fits no better is the photo's own, in pixels."""
SIGNIFICANT = 3.0
"""Standard errors by which a place must fit better than the photo's own."""


@dataclass(frozen=True)
class Placement:
    """Where a photo shows what its camera shows: at ``shift + scale * turned(p)``.

    Points p and the shift are in half sides of the view, from its middle. A photo that is used as
    it lies has no shift, no turn and the scale 1.
    """

    shift: tuple[float, float]
    scale: float
    turn: float
    """Angle in radians, from right to down."""
    known: bool
    """Whether the place was found.

    If not, the photo lies beyond the bounds, or shows other things.
    """
    blur: float = 0.0
    """How much more than the training views the photo is blurred: a standard deviation.

    In half sides of the view. 0 too where the place is not known.
    """

    @property
    def moved(self) -> bool:
        """Whether the photo is to be used elsewhere than it lies."""
        return (self.shift, self.scale, self.turn) != ((0.0, 0.0), 1.0, 0.0)


AS_IT_LIES = Placement((0.0, 0.0), 1.0, 0.0, known=True)
UNKNOWN = Placement((0.0, 0.0), 1.0, 0.0, known=False)


def for_placing(view: ViewGeometry) -> ViewGeometry:
    """The view with the light as finely as :func:`place` takes it."""
    return view.reduced(LARGEST)


def can_place(view: ViewGeometry) -> bool:
    """Whether the light is known finely enough, and the view is not moved by a pose."""
    return len(view.reflected) >= SMALLEST and np.array_equal(view.pose, np.eye(2, 3))


def place(pictures: Tensor, valid: Tensor, cameras: Known) -> tuple[Tensor, Tensor, Tensor]:
    """How photos lie to their cameras.

    Args:
        pictures: [B, 3, M, M] in 0 to 255, sRGB: the views and what is around them, MARGIN times
            their side, with pixels as large as those of the light.
        valid: bool [B, M, M]: pixels that the photos have.

    Returns:
        Right, down, log of the scale, and turn, float64 [B, 4], in the units of :class:`Placement`,
        zeros where a photo is used as it lies; whether the place is known, bool [B]; and how much
        more than the training views the photos are blurred, float64 [B]: a standard deviation in
        half sides of the view, 0 where the place is not known.
    """
    fit = Fit(pictures, valid, cameras)
    found, enough = fit.refined(by_edges(pictures, cameras))
    farthest = torch.tensor([2 * FARTHEST, 2 * FARTHEST, FARTHEST, max(TURNS) * 1.1])
    near = (found.abs() <= farthest.to(found)).all(dim=1)
    share, blur = fit.explained(found)
    fits = near & enough & (share >= EXPLAINED)
    pixels = cameras.falling.shape[-1] / 2  # to half a side
    moved = _paint_moves(found, cameras.paint) * pixels
    better = fit.better(torch.where(fits[:, None], found, 0.0)) >= SIGNIFICANT
    known = fits & (better | (moved <= APART))
    used = known & better & (moved > STILL)
    place = torch.where(used[:, None], found, 0.0)
    return place, known, torch.where(known, blur / pixels, 0.0)


def placement(move: Tensor, known: bool, blur: float = 0.0) -> Placement:
    """One photo's place, of what :func:`place` gives, ``move`` [4]."""
    right, down, grows, turn = move.tolist()
    return Placement((right, down), math.exp(grows), turn, known, blur)


def _paint_moves(move: Tensor, paint: Tensor) -> Tensor:
    """Root mean square [B] of how far painted pixels move, in half sides of the view."""
    scale = move[:, 2].exp()
    grows, turns = scale * move[:, 3].cos() - 1, scale * move[:, 3].sin()
    x, y, squares = paint.unbind(dim=1)
    along = move[:, 0] * (grows * x - turns * y) + move[:, 1] * (grows * y + turns * x)
    mean = move[:, :2].square().sum(dim=1) + 2 * along + (grows**2 + turns**2) * squares
    return mean.clamp_min(0).sqrt()
