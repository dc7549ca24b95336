"""How photos lie to their cameras: shift, scale and turn, by what no livery changes.

A camera's light maps hold glass, tyres and outline as every photo of the camera shows them. First
the orientation of edges is compared at several scales and turns, with the paint in several greys,
so that only edges remain that any paint leaves
(:mod:`uvtex.imaging.registration.edges`). Then shift, scale and turn are refined by
Gauss-Newton steps on the pixels between the painted ones (Lucas and Kanade 1981), with Tukey's
weights. Backdrop and floor are not among them: they differ from place to place. Brightness and
contrast of each channel are free in each block of pixels, as they are for a whole picture in the
enhanced correlation coefficient of Evangelidis and Psarakis (2008).

The same pixels tell how blurred a photo is, by the blur with which the camera's picture explains it
best, and its exposure, if all blocks are brighter by one factor.

A place counts only if it explains the blocks' variance, and these pixels better than the photo's
own place does, by more than their blocks differ among themselves.

:func:`place` works on a batch and takes no decision outside of tensors, so an exported program
holds it too.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from uvtex.imaging.compose import linear_from_srgb, srgb_from_linear
from uvtex.imaging.full_size import ViewGeometry
from uvtex.imaging.placing.bending import BendFit
from uvtex.imaging.placing.edges import TURNS, by_edges
from uvtex.imaging.placing.fit import Fit
from uvtex.imaging.placing.known import MARGIN, SMALLEST, Known, known_of
from uvtex.imaging.registration.edges import FARTHEST, STILL

__all__ = [
    "AS_IT_LIES",
    "MARGIN",
    "UNKNOWN",
    "Known",
    "Placement",
    "Places",
    "can_place",
    "evened",
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
EVEN = 0.04
"""Largest difference between blocks in how much brighter they are than what is known, as a log.

Larger ones are other light, not another exposure: photos in the training light gave 0.003 to 0.009,
photos in other light 0.07 and more.
"""
BRIGHTER = 0.03
"""Least difference in brightness that is an exposure of its own, as a log. Noise gave 0.014."""
MOST = 1.0
"""Largest such difference. Beyond it too much is black or saturated."""
BEND_STEPS = 6
"""Number of steps for a bend, before blur and exposure are told."""
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
    gain: tuple[float, float, float] = (1.0, 1.0, 1.0)
    """How many times as bright the photo is as the training views: red, green, blue, linear."""

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


class Places(NamedTuple):
    """How B photos lie to their cameras, in the units of :class:`Placement`."""

    moves: Tensor  # float64 [B, 4]: right, down, log of the scale, turn; 0 for use as it lies
    known: Tensor  # bool [B]: whether the place is known
    blur: Tensor  # float64 [B]
    gain: Tensor  # float64 [B, 3]


def place(pictures: Tensor, valid: Tensor, cameras: Known) -> Places:
    """How photos lie to their cameras.

    Args:
        pictures: [B, 3, M, M] in 0 to 255, sRGB: the views and what is around them, MARGIN times
            their side, with pixels as large as those of the light.
        valid: bool [B, M, M]: pixels that the photos have.
    """
    fit = Fit(pictures, valid, cameras)
    found, enough = fit.refined(by_edges(pictures, cameras))
    farthest = torch.tensor([2 * FARTHEST, 2 * FARTHEST, FARTHEST, max(TURNS) * 1.1])
    near = (found.abs() <= farthest.to(found)).all(dim=1)
    share, _ = fit.explained(found)
    fits = near & enough & (share >= EXPLAINED)
    pixels = cameras.falling.shape[-1] / 2  # to half a side
    moved = _paint_moves(found, cameras.paint) * pixels
    better = fit.better(torch.where(fits[:, None], found, 0.0)) >= SIGNIFICANT
    known = fits & (better | (moved <= APART))
    used = known & better & (moved > STILL)
    moves = torch.where(used[:, None], found, 0.0)
    # Parts of a bent photo lie beside what is known, as if it were blurred or unevenly lit.
    bent = BendFit(pictures, valid, cameras, moves)
    bend, _ = bent.refined(bent.none(), BEND_STEPS)
    _, blur = bent.explained(bend)
    return Places(moves, known, torch.where(known, blur / pixels, 0.0), _gain(bent, bend, known))


def _gain(fit: BendFit, bend: Tensor, known: Tensor) -> Tensor:
    """How many times as bright the photos are, [B, 3]: 1 where that is not sure."""
    brighter, uneven = fit.exposure(bend)
    size = brighter.abs().amax(dim=1)
    told = known & (uneven.amax(dim=1) <= EVEN) & (size >= BRIGHTER) & (size <= MOST)
    return torch.where(told[:, None], brighter.exp(), 1.0)


def evened(views: Tensor, gain: Tensor) -> Tensor:
    """Views [B, 3, S, S] in 0 to 255, sRGB, as bright as the training views: whole numbers.

    Args:
        gain: [B, 3], how many times as bright the photos are. Views of gain 1 stay as they are.
    """
    linear = linear_from_srgb(views / 255) / gain.to(views)[:, :, None, None]
    made = (srgb_from_linear(linear) * 255).round()
    return torch.where((gain != 1).any(dim=1)[:, None, None, None], made, views)


def placement(places: Places, photo: int = 0) -> Placement:
    """One photo's place."""
    right, down, grows, turn = places.moves[photo].tolist()
    red, green, blue = places.gain[photo].tolist()
    return Placement(
        (right, down),
        math.exp(grows),
        turn,
        bool(places.known[photo]),
        float(places.blur[photo]),
        (red, green, blue),
    )


def _paint_moves(move: Tensor, paint: Tensor) -> Tensor:
    """Root mean square [B] of how far painted pixels move, in half sides of the view."""
    scale = move[:, 2].exp()
    grows, turns = scale * move[:, 3].cos() - 1, scale * move[:, 3].sin()
    x, y, squares = paint.unbind(dim=1)
    along = move[:, 0] * (grows * x - turns * y) + move[:, 1] * (grows * y + turns * x)
    mean = move[:, :2].square().sum(dim=1) + 2 * along + (grows**2 + turns**2) * squares
    return mean.clamp_min(0).sqrt()
