"""Turns a photo into the view that a network expects.

The view is upright and square, and shows the car at the size and place of the training views. A
photo is cropped or padded for that, but never stretched. :class:`Photo` records every step and
warns of what may have gone wrong.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image

from uvtex.data import picture_formats, pictures
from uvtex.errors import DataError
from uvtex.imaging import masks
from uvtex.imaging.framing import Box, Framing, box_of, framed, padded
from uvtex.imaging.placing import Placement

SMALLEST = 16
"""Least side of a photo, in pixels."""
MASK_SIDE = 512
"""Longer side of a mask, in pixels: enough to find a car."""
SHRINK_TO = 4
"""A photo is first reduced to this many times the view's side, so that its padding stays small."""
SMALL_CAR = 0.1
"""A car that covers less than this share of the photo gives a warning."""


@dataclass(frozen=True)
class Mask:
    """Where the car is in a photo."""

    source: str
    """The mask's file, or the method that drew it: ``alpha``, ``backdrop`` or ``everything``."""
    car: np.ndarray  # bool [h, w], with the aspect ratio of the upright photo
    guessed: bool
    file: Path | None = None

    @property
    def share(self) -> float:
        """Share of the photo that the car covers, in [0, 1]."""
        return float(self.car.mean())


@dataclass(frozen=True)
class Photo:
    """One photo, prepared for the network."""

    path: Path
    facts: pictures.Facts
    upright: tuple[int, int]
    """Width and height after the EXIF rotation, in pixels."""
    mask: Mask
    square: Box
    """The part of the upright photo that the network sees; what is beyond the photo is padding.

    If the photo was found turned, the part is this square turned about its middle: see
    ``placement``.
    """
    border_colour: tuple[int, int, int]
    """Colour of the padding: the median RGB of the photo's border, 0 to 255."""
    view: np.ndarray  # uint8 [S, S, 3]
    warnings: tuple[str, ...]
    placement: Placement | None = None
    """How the photo lay to its camera. None: not asked. ``square`` is where it was found."""

    @property
    def padding(self) -> float:
        """Share of the view that is padding, in [0, 1], as if the square were not turned."""
        width, height = self.upright
        across = min(self.square.right, width) - max(self.square.left, 0)
        down = min(self.square.bottom, height) - max(self.square.top, 0)
        return 1 - max(across, 0) * max(down, 0) / self.square.side**2

    @property
    def cropped(self) -> bool:
        """Whether the view differs from the whole photo padded to a square."""
        return self.square != padded(*self.upright)


def prepare(
    path: Path, size: int, framing: Framing | None, mask: Path | None = None, whole: bool = False
) -> Photo:
    """Prepares a photo as a view of ``size`` pixels a side.

    Args:
        framing: size and place of the car in the training views; None: unknown, so the whole photo
            is shown.
        mask: picture with the aspect ratio of the upright photo, white where the car is; None: from
            the photo's transparency, else guessed.
        whole: show the whole photo, whatever the mask.

    Raises:
        DataError: the photo or the mask cannot be used.
    """
    if path.is_dir():
        raise DataError(f"{path}: is a folder; give its pictures, as in {path}/*.jpg")
    facts = pictures.describe(path)
    rgb = pictures.read_rgb(path)
    height, width = rgb.shape[:2]
    if min(height, width) < SMALLEST:
        raise DataError(f"{path}: {width}x{height} pixels; each side needs at least {SMALLEST}")
    found = _read_mask(mask, path, width, height) if mask else _guess_mask(path, facts, rgb)
    square = padded(width, height)
    car = None if found.source == "everything" else box_of(found.car)
    if car is not None and framing is not None and not whole:
        square = framed(width, height, car.scaled(width / found.car.shape[1]), framing)
    view, colour = cut(rgb, square, size)
    photo = Photo(path, facts, (width, height), found, square, colour, view, ())
    return replace(photo, warnings=tuple(_warnings(photo, size, framing, whole)))


def cut(
    rgb: np.ndarray, square: Box, size: int, turn: float = 0.0
) -> tuple[np.ndarray, tuple[int, int, int]]:
    """Cuts a square out of a picture and resizes it.

    Args:
        rgb: uint8 [H, W, 3].
        square: may reach beyond the picture, which is padded with its border's median colour.
        turn: the square is turned by this angle about its middle, in radians, clockwise.

    Returns:
        uint8 [size, size, 3], and the colour of the padding.
    """
    border = np.concatenate([rgb[0], rgb[-1], rgb[:, 0], rgb[:, -1]])
    red, green, blue = (int(c) for c in np.median(border, axis=0))
    picture = Image.fromarray(rgb)
    # A strip of 16 x 20,000 pixels must not become a square with sides of 20,000 pixels.
    shrink = min(1.0, SHRINK_TO * size / square.side)
    if shrink < 1:
        sides = [max(1, round(side * shrink)) for side in picture.size]
        picture = picture.resize((sides[0], sides[1]), Image.Resampling.LANCZOS, reducing_gap=3.0)
    side = max(1, round(square.side * shrink))
    # Whole pixels would move the car by up to an eighth of a pixel of the view.
    step = square.side / side
    along, across = step * math.cos(turn), step * math.sin(turn)
    (x, y), back = square.middle, side / 2
    left = square.left if turn == 0 else x - (along - across) * back
    top = square.top if turn == 0 else y - (across + along) * back
    # Its sides are whole, so they are not shrunk alike.
    wide, high = (picture.size[k] / rgb.shape[1 - k] for k in (0, 1))
    sheet = picture.transform(
        (side, side),
        Image.Transform.AFFINE,
        (along * wide, -across * wide, left * wide, across * high, along * high, top * high),
        # Its bicubic filter would move parts of the picture by up to 0.09 pixels.
        Image.Resampling.BILINEAR,
        fillcolor=(red, green, blue),
    )
    view = sheet.resize((size, size), Image.Resampling.LANCZOS, reducing_gap=3.0)
    return np.array(view), (red, green, blue)


def find_mask(given: Path, photo: Path, name: str) -> Path:
    """The mask file of ``photo``: ``given``, or in a folder the file of that ``name`` or stem.

    Raises:
        DataError: the folder has no such file.
    """
    if not given.is_dir():
        return given
    try:
        found, others = picture_formats.search(given)
    except OSError as error:
        raise DataError(f"{given}: cannot be read: {error.strerror or error}") from None
    for stem in dict.fromkeys((name, photo.stem)):
        fitting = [path for path in found if path.stem == stem]
        if fitting:
            return min(fitting, key=lambda path: picture_formats.order(path))
    named = [path for path in others if path.stem in (name, photo.stem)]
    raise DataError(
        f"{given}: no mask for {photo}; name it {name}.png in that folder, white where the car is"
        + "".join(f" ({sentence})" for sentence in [picture_formats.skipped(named)] if sentence)
    )


def _read_mask(mask: Path, photo: Path, width: int, height: int) -> Mask:
    grey = pictures.read_grey(mask)
    rows, columns = grey.shape
    if abs(columns * height - rows * width) > max(rows, columns, width, height):
        raise DataError(
            f"{mask}: is {columns}x{rows}, and {photo} is {width}x{height} when upright; a mask "
            "must have the aspect ratio of its photo"
        )
    small = Image.fromarray(grey)
    small.thumbnail((MASK_SIDE, MASK_SIDE))
    car = np.asarray(small) > 127
    if not car.any():
        raise DataError(f"{mask}: marks no car: no pixel is white (above 127)")
    return Mask(str(mask), car, guessed=False, file=mask)


def _guess_mask(path: Path, facts: pictures.Facts, rgb: np.ndarray) -> Mask:
    if "alpha" in facts.oddities:
        alpha = pictures.read_alpha(path)
        if alpha is not None and (alpha > 127).any() and not (alpha > 127).all():
            return Mask("alpha", alpha > 127, guessed=False)
    small = Image.fromarray(rgb)
    small.thumbnail((MASK_SIDE, MASK_SIDE))
    car = masks.by_backdrop(np.asarray(small))
    if car.any():
        return Mask("backdrop", car, guessed=True)
    return Mask("everything", np.ones_like(car), guessed=True)


def _warnings(photo: Photo, size: int, framing: Framing | None, whole: bool) -> list[str]:
    warnings = []
    mask = photo.mask
    if mask.source == "everything":
        warnings.append("no car was found: the whole photo is shown; give --mask")
    elif mask.share < SMALL_CAR:
        warnings.append(f"the car fills {mask.share:.1%} of the photo")
    if photo.cropped and mask.guessed:
        warnings.append("cropped by a guessed mask: check the view, and give --mask or --whole")
    if framing is None and not whole and mask.source != "everything":
        warnings.append(
            "the checkpoint does not say how training framed the car: the whole photo is shown"
        )
    if photo.square.side < size:
        warnings.append(
            f"enlarged: the network takes {size} px, and this is {photo.square.side:.0f} px"
        )
    return warnings + [f"the file is unusual: {doubt}" for doubt in photo.facts.doubts]
