"""How a photo is bent beside its camera's picture, once shift, scale and turn are known.

A photo from a step aside, or with another lens, shows panels some pixels off. Its edges between the
painted pixels tell where, by the same steps as for shift, scale and turn
(:mod:`uvtex.imaging.placing.fit`).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from uvtex.imaging.bend import PAIRS, Bend, bend_of
from uvtex.imaging.full_size import ViewGeometry
from uvtex.imaging.placing.fit import Fit
from uvtex.imaging.placing.known import MARGIN, Known, known_of, turned

LEVELS = ((512, 20), (1024, 6))
"""Largest side of the light that is compared, in pixels, and the number of steps: coarse to fine.

At 512 pixels bends of 6 of 1024 are found. At 1024 the error is half as large.
"""
LEAST = 128
"""Least side of the light. Coarser light leaves errors as large as the bends of photos."""
LARGEST = 0.04
"""Largest displacement of a painted pixel, in half sides of the view."""
SIGNIFICANT = 3.0
"""Standard errors by which a bent photo must fit better than one that is not."""
SHOWS = 0.5
"""Least displacement of a bend, root mean square over the paint, in pixels of the light.

Photos that were not bent gave 0.1 to 0.4.
"""
Frame = tuple[Tensor, Tensor]
"""The middle [B, 2] and the spread [B] of the bends of B photos: see :class:`Bend`."""
Cut = Callable[[int], tuple[np.ndarray, np.ndarray]]
"""Gives the view and what is around it, MARGIN times its side, with so many pixels a side.

uint8 [M, M, 3], sRGB, and which pixels the photo has, bool [M, M].
"""


class BendFit(Fit):
    """The same steps for the terms of a bend: those to the right [B, terms], then those down.

    Args:
        place: [B, 4], the photos' shift, scale and turn; None: they lie right.
        frame: of the bend; None: that of the cameras.
    """

    stiffness = 3e6
    """As if each term were known to be 0 within 0.002 half sides, by ten independent pixels."""

    def __init__(
        self,
        pictures: Tensor,
        valid: Tensor,
        cameras: Known,
        place: Tensor | None = None,
        frame: Frame | None = None,
    ) -> None:
        super().__init__(pictures, valid, cameras)
        self._place = place
        middle, spread = frame or frame_of(cameras)
        x, y = ((self._at - middle[:, None]) / spread[:, None, None]).unbind(dim=2)
        right, down = ([torch.ones_like(z), z, z**2 - 1, z**3 - 3 * z] for z in (x, y))
        self._terms = torch.stack([right[i] * down[j] for i, j in PAIRS], dim=2)

    def none(self) -> Tensor:
        """No bend, [B, n]."""
        return self._terms.new_zeros(self._terms.shape[0], 2 * len(PAIRS))

    def _moved(self, place: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        right, down = (self._terms @ x[..., None] for x in place.chunk(2, dim=1))
        none = torch.zeros_like(self._terms)
        across, along = (torch.cat(x, dim=2) for x in ([self._terms, none], [none, self._terms]))
        at = self._at + torch.cat([right, down], dim=2)
        if self._place is None:
            return at, across, along
        scale, angle = self._place[:, 2, None, None].exp(), self._place[:, 3:]
        slopes = turned(torch.stack([across, along], dim=3), angle[..., None])
        across, along = scale * slopes[..., 0], scale * slopes[..., 1]
        return self._place[:, None, :2] + scale * turned(at, angle), across, along


def bent(cut: Cut, view: ViewGeometry) -> Bend | None:
    """How a photo is bent beside its camera's picture; None: not so that it shows."""
    frame, found, side = None, None, 0
    for most, steps in LEVELS:
        light = view.reduced(most)
        finer = len(light.reflected)
        if finer < LEAST or finer == side:
            break
        side = finer
        known = known_of([light])
        frame = frame or frame_of(known)
        picture, valid = cut(round(side * MARGIN))
        shown = torch.from_numpy(picture).permute(2, 0, 1)[None].float()
        fit = BendFit(shown, torch.from_numpy(valid)[None], known, frame=frame)
        found, enough = fit.refined(fit.none() if found is None else found, steps)
        if not enough.all():
            return None
    if found is None or frame is None or fit.better(found) < SIGNIFICANT:
        return None
    (middle,), (spread,) = (x.tolist() for x in frame)
    bend = bend_of(found.reshape(2, -1).numpy(), middle, spread)
    away = displacements(bend, view)
    shows = np.sqrt((away**2).mean()) * side / 2 >= SHOWS
    return bend if shows and away.max() <= LARGEST else None


def displacements(bend: Bend, view: ViewGeometry) -> np.ndarray:
    """How far the bend moves each painted point of a view's UV map, in half sides: float64 [N]."""
    points = len(view.uv)
    row, column = np.nonzero(np.isfinite(view.uv[..., 0]))
    at = (np.stack([column, row], axis=1) + 0.5) / points * 2 - 1
    found: np.ndarray = np.linalg.norm(bend.moved(at) - at, axis=1)
    return found


def frame_of(cameras: Known) -> Frame:
    """The middle and the spread of the painted pixels of cameras, in half sides of the view."""
    middle, squares = cameras.paint[:, :2], cameras.paint[:, 2]
    return middle, (squares - middle.square().sum(dim=1)).clamp_min(1e-12).sqrt()
