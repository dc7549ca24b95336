"""Photos as a network wants them: upright, square, the car framed as in training, never stretched.

What was done to each is kept, down to the pixel, and what may have gone wrong is said.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from uvtex.data import pictures
from uvtex.errors import DataError
from uvtex.imaging import masks
from uvtex.imaging.framing import Box, Framing, box_of, framed, padded

SMALLEST = 16
"""Least side of a photo, in pixels."""
GUESSING = 512
"""Longer side, in pixels, at which masks are guessed and looked at: enough to find a car."""
SHRUNK = 4
"""A photo is first brought down to so many times the view's size: padding stays small."""
LITTLE = 0.1
"""A car of less than this share of the picture is worth a warning."""
PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff")


@dataclass(frozen=True)
class Mask:
    """Where the car is in a photo."""

    source: str
    """The file, or what guessed it: ``alpha``, ``backdrop``, ``colour``, or ``everything``."""
    car: np.ndarray  # bool [h, w], of the upright photo's aspect
    guessed: bool
    file: Path | None = None

    @property
    def share(self) -> float:
        """Of the picture that is car, in [0, 1]."""
        return float(self.car.mean())


@dataclass(frozen=True)
class Photo:
    """One photo, made ready."""

    path: Path
    facts: pictures.Facts
    upright: tuple[int, int]
    """Width and height once EXIF rotation is applied, in pixels."""
    mask: Mask
    square: Box
    """What of the upright photo the network sees; beyond the photo is padding."""
    ground: tuple[int, int, int]
    """The padding's colour: the median of the photo's border."""
    view: np.ndarray  # uint8 [S, S, 3]
    warnings: tuple[str, ...]

    @property
    def padding(self) -> float:
        """Share of the view that is not of the photo."""
        width, height = self.upright
        across = min(self.square.right, width) - max(self.square.left, 0)
        down = min(self.square.bottom, height) - max(self.square.top, 0)
        return 1 - max(across, 0) * max(down, 0) / self.square.side**2

    @property
    def cropped(self) -> bool:
        """Whether some of the photo is left out, or it is padded to more than a square."""
        return self.square != padded(*self.upright)


def prepare(
    path: Path, size: int, framing: Framing | None, mask: Path | None = None, whole: bool = False
) -> Photo:
    """A photo as a view of ``size`` pixels.

    Args:
        framing: how training showed the car; None: not known, the whole photo is taken.
        mask: a picture of the upright photo's aspect, car white; None: a guess.
        whole: take the whole photo whatever the mask.

    Raises:
        DataError: the photo or the mask cannot be used.
    """
    if path.is_dir():
        raise DataError(f"{path}: is a folder; give pictures, as in {path}/*.jpg")
    facts = pictures.describe(path)
    rgb = pictures.read_rgb(path)
    height, width = rgb.shape[:2]
    if min(height, width) < SMALLEST:
        raise DataError(f"{path}: {width}x{height} pixels; at least {SMALLEST} a side are needed")
    found = _given(mask, path, width, height) if mask else _guess(path, facts, rgb)
    square = padded(width, height)
    car = None if found.source == "everything" else box_of(found.car)
    if car is not None and framing is not None and not whole:
        square = framed(width, height, car.scaled(width / found.car.shape[1]), framing)
    view, ground = cut(rgb, square, size)
    photo = Photo(path, facts, (width, height), found, square, ground, view, ())
    warnings = tuple(_warnings(photo, size, framing, whole))
    return Photo(path, facts, (width, height), found, square, ground, view, warnings)


def cut(rgb: np.ndarray, square: Box, size: int) -> tuple[np.ndarray, tuple[int, int, int]]:
    """A square of a picture, uint8 [H, W, 3], as [size, size, 3], and the padding's colour.

    Beyond the picture lies the median colour of its border.
    """
    border = np.concatenate([rgb[0], rgb[-1], rgb[:, 0], rgb[:, -1]])
    red, green, blue = (int(c) for c in np.median(border, axis=0))
    picture = Image.fromarray(rgb)
    # A strip of 16 x 20,000 pixels must not become a square of 20,000 pixels.
    shrink = min(1.0, SHRUNK * size / square.side)
    if shrink < 1:
        sides = [max(1, round(side * shrink)) for side in picture.size]
        picture = picture.resize((sides[0], sides[1]), Image.Resampling.LANCZOS, reducing_gap=3.0)
    small = square.scaled(shrink)
    side = max(1, round(small.side))
    sheet = Image.new("RGB", (side, side), (red, green, blue))
    sheet.paste(picture, (-round(small.left), -round(small.top)))
    view = sheet.resize((size, size), Image.Resampling.LANCZOS, reducing_gap=3.0)
    return np.array(view), (red, green, blue)


def find_mask(given: Path, photo: Path, name: str) -> Path:
    """The mask's file for ``photo``: ``given`` itself, or in that folder ``name`` or the photo's.

    Raises:
        DataError: there is none.
    """
    if not given.is_dir():
        return given
    for stem in dict.fromkeys((name, photo.stem)):
        for ending in PICTURES:
            if (given / f"{stem}{ending}").is_file():
                return given / f"{stem}{ending}"
    raise DataError(
        f"{given}: no mask for {photo}; it would be called {name}.png there, white where the car is"
    )


def _given(mask: Path, photo: Path, width: int, height: int) -> Mask:
    grey = pictures.read_grey(mask)
    rows, columns = grey.shape
    if abs(columns * height - rows * width) > max(rows, columns, width, height):
        raise DataError(
            f"{mask}: is {columns}x{rows}, and {photo} is {width}x{height} when upright; a mask "
            "has the photo's own shape"
        )
    small = Image.fromarray(grey)
    small.thumbnail((GUESSING, GUESSING))
    car = np.asarray(small) > 127
    if not car.any():
        raise DataError(f"{mask}: marks no car; white (above 127) is car, black is not")
    return Mask(str(mask), car, guessed=False, file=mask)


def _guess(path: Path, facts: pictures.Facts, rgb: np.ndarray) -> Mask:
    if "alpha" in facts.oddities:
        alpha = pictures.read_alpha(path)
        if alpha is not None and (alpha > 127).any() and not (alpha > 127).all():
            return Mask("alpha", alpha > 127, guessed=False)
    small = Image.fromarray(rgb)
    small.thumbnail((GUESSING, GUESSING))
    car = masks.by_backdrop(np.asarray(small))
    if car.any():
        return Mask("backdrop", car, guessed=True)
    return Mask("everything", np.ones_like(car), guessed=True)


def _warnings(photo: Photo, size: int, framing: Framing | None, whole: bool) -> list[str]:
    said = []
    mask = photo.mask
    if mask.source == "everything":
        said.append("no car was found in it: the whole picture is taken; give --mask")
    elif mask.share < LITTLE:
        said.append(f"the car fills {mask.share:.1%} of the picture")
    if photo.cropped and mask.guessed:
        said.append("framed by a guessed mask: look at the view, and give --mask or --whole")
    if framing is None and not whole and mask.source != "everything":
        said.append(
            "the checkpoint does not say how training framed the car: the whole picture is taken"
        )
    if photo.square.side < size:
        said.append(f"enlarged: the network takes {size} px, this is {photo.square.side:.0f} px")
    return said + [
        f"the file is odd: {oddity}" for oddity in photo.facts.oddities if "anim" in oddity
    ]
