"""Photos cut anew as their cameras would show them: see :mod:`uvtex.imaging.placing`."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from uvtex.data import pictures
from uvtex.imaging.framing import Box
from uvtex.imaging.full_size import ViewGeometry
from uvtex.imaging.placing import MARGIN, can_place, evened, for_placing, known_of, place, placement
from uvtex.imaging.placing.bending import bent
from uvtex.inference.photos import Photo, cut
from uvtex.models import Predictor

NOT_PLACED = (
    "could not be registered: within 8 % and 5 degrees there is no place where outline, glass and "
    "tyres lie as in the training views, so it lies further off or shows another car"
)
EVENED = (1.0, 1.0, 1.0)
"""The gain of a photo that is as bright as the training views."""
BLURRED = "is blurred beside the other photos, so it counts less"
USED_AS_IT_LIES = "it is used as it lies, so its paint may be displaced in the texture"


@torch.no_grad()
def placed(predictor: Predictor, photo: Photo) -> Photo:
    """The photo, cut where it shows what its camera shows.

    It stays as it is if the predictor does not know its cameras or knows their light coarsely
    only, or if it estimates how the photo is moved itself.

    Raises:
        DataError: the photo can no longer be read.
    """
    if not predictor.knows_geometry:
        return photo
    device = next(predictor.parameters()).device
    view = torch.from_numpy(photo.view).to(device).permute(2, 0, 1)[None].float() / 127.5 - 1
    [geometry] = map(for_placing, predictor.geometry(view))
    if not can_place(geometry):
        return photo
    rgb = pictures.read_rgb(photo.path)
    around = _around(photo.square)
    side = round(len(geometry.reflected) * MARGIN)
    picture, _ = cut(rgb, around, side)
    shown = torch.from_numpy(picture).permute(2, 0, 1)[None].float()
    valid = torch.from_numpy(_in_photo(photo, around, side))[None]
    found = placement(place(shown, valid, known_of([geometry])))
    photo = replace(photo, placement=found)
    if found.gain != EVENED:
        told = ", ".join(f"{gain:.2f}" for gain in found.gain)
        note = f"{told} times as bright as the training views (red, green, blue): evened out"
        photo = replace(photo, warnings=(*photo.warnings, note))
    if not found.moved:
        return replace(photo, view=_evened(photo.view, found.gain))
    half = photo.square.side / 2
    x, y = (m + half * s for m, s in zip(photo.square.middle, found.shift, strict=True))
    half *= found.scale
    square = Box(x - half, y - half, x + half, y + half)
    view_there, colour = cut(rgb, square, len(photo.view), found.turn)
    view_there = _evened(view_there, found.gain)
    return replace(photo, square=square, view=view_there, border_colour=colour)


def _evened(view: np.ndarray, gain: tuple[float, float, float]) -> np.ndarray:
    """A view uint8 [S, S, 3] as bright as the training views."""
    if gain == EVENED:
        return view
    planes = torch.from_numpy(view).permute(2, 0, 1)[None].float()
    made: np.ndarray = evened(planes, torch.tensor([gain]))[0].permute(1, 2, 0).byte().numpy()
    return made


def straightened(photo: Photo, geometry: ViewGeometry) -> ViewGeometry:
    """The geometry of a photo's camera, bent as the photo is beside it.

    It stays as it is where the photo's place is not known, or the light is known coarsely only.

    Raises:
        DataError: the photo can no longer be read.
    """
    lies = photo.placement
    if lies is None or not lies.known:
        return geometry
    around, turn = _around(photo.square), lies.turn
    rgb = pictures.read_rgb(photo.path)

    def shown(side: int) -> tuple[np.ndarray, np.ndarray]:
        return cut(rgb, around, side, turn)[0], _in_photo(photo, around, side, turn)

    return replace(geometry, bend=bent(shown, geometry))


def exposed(photo: Photo, geometry: ViewGeometry) -> ViewGeometry:
    """The geometry of a photo's camera, with the light as bright as in the photo."""
    if photo.placement is None or photo.placement.gain == EVENED:
        return geometry
    gain = np.array(photo.placement.gain, np.float32)
    return replace(geometry, falling=geometry.falling * gain, reflected=geometry.reflected * gain)


def not_placed(photo: Photo) -> bool:
    """Whether the photo's place was sought and not found."""
    return photo.placement is not None and not photo.placement.known


def placement_record(photo: Photo) -> dict[str, Any] | None:
    """How the photo lay to its camera, as plain values. None: not asked.

    ``right`` and ``down`` are shares of the view's side, for the middle of the view. ``turn`` is in
    degrees, clockwise. ``blur`` is a standard deviation, as a share of the view's side. ``gain`` is
    how many times as bright the photo is as the training views: red, green, blue.
    """
    found = photo.placement
    if found is None:
        return None
    right, down = (round(x / 2, 5) for x in found.shift)
    return {
        "known": found.known,
        "right": right,
        "down": down,
        "scale": round(found.scale, 5),
        "turn": round(math.degrees(found.turn), 4),
        "blur": round(found.blur / 2, 5),
        "gain": [round(gain, 3) for gain in found.gain],
    }


def _around(square: Box) -> Box:
    """The square and what is around it."""
    (x, y), half = square.middle, square.side / 2 * MARGIN
    return Box(x - half, y - half, x + half, y + half)


def _in_photo(photo: Photo, square: Box, side: int, turn: float = 0.0) -> np.ndarray:
    """Which pixels of a cut of ``side`` pixels the photo has, and shows: bool [side, side].

    The arguments are those of :func:`uvtex.inference.photos.cut`.
    """
    width, height = photo.upright
    along = ((np.arange(side) + 0.5) / side - 0.5) * square.side
    right, below = np.meshgrid(along, along)
    cos, sin = math.cos(turn), math.sin(turn)
    middle_x, middle_y = square.middle
    x, y = middle_x + cos * right - sin * below, middle_y + sin * right + cos * below
    inside: np.ndarray = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    alpha = pictures.read_alpha(photo.path) if "alpha" in photo.facts.oddities else None
    if alpha is not None:
        rows, columns = y.clip(0, height - 1).astype(int), x.clip(0, width - 1).astype(int)
        inside &= alpha[rows, columns] == 255
    return inside
