"""Reading pictures people supply, at the size a network wants, and saying what is odd about them.

Whatever the file holds (16 bits, a palette, CMYK, alpha, a rotation flag), what comes out is 8-bit
and upright. What Pillow cannot scale to 8 bits without guessing is refused, never clipped.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from uvtex.errors import DataError

ORIENTATION = 0x0112
"""The EXIF tag that says how the camera was held; 1 is upright."""
SIXTEEN_BITS = ("I", "I;16", "I;16B", "I;16L", "I;16N")
"""Modes in which Pillow hands out deep grey; some of its versions open 16-bit PNGs as ``I``."""


@dataclass(frozen=True)
class Facts:
    """What a picture file is, before any of it is changed."""

    width: int  # pixels, as stored
    height: int
    oddities: tuple[str, ...]
    """Each a short clause such as ``16 bits a channel`` or ``CMYK``; empty for plain 8-bit RGB."""
    orientation: int = 1
    """EXIF's; 1 is upright, 2 to 8 are turned or mirrored."""


def read_rgb(path: Path, size: int | None = None) -> np.ndarray:
    """An sRGB picture as uint8 [H, W, 3]; squared to [size, size, 3] when ``size`` is given.

    EXIF rotation is applied and transparency laid over mid-grey. 16-bit channels are scaled.

    Raises:
        DataError: missing, truncated, no picture, in floats, or larger than Pillow considers safe.
    """
    picture = _open(path)
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
        ground = Image.new("RGBA", picture.size, (128, 128, 128, 255))
        picture = Image.alpha_composite(ground, picture)
    return _sized(picture.convert("RGB"), size)


def resized(picture: np.ndarray, size: int) -> np.ndarray:
    """What :func:`read_rgb` or :func:`read_rgba` gives at ``size`` for one that it read whole."""
    return _sized(Image.fromarray(picture), size)


def read_grey(path: Path, size: int | None = None) -> np.ndarray:
    """A mask as uint8 [H, W]; see :func:`read_rgb`."""
    return _sized(_open(path).convert("L"), size)


def read_rgba(path: Path, size: int | None = None) -> np.ndarray:
    """A picture and how opaque it is, uint8 [H, W, 4], opaque where it says nothing of it; see
    :func:`read_rgb`. Colours are not mixed with those of what cannot be seen."""
    return _sized(_open(path).convert("RGBA"), size)


def read_alpha(path: Path) -> np.ndarray | None:
    """How opaque a picture's pixels are, uint8 [H, W]; None where it has no transparency.

    Raises:
        DataError: see :func:`read_rgb`.
    """
    picture = _open(path)
    if not picture.has_transparency_data:
        return None
    return np.asarray(picture.convert("RGBA").getchannel("A"))


def describe(path: Path) -> Facts:
    """Size and oddities of a picture, from its header: its pixels are not decoded.

    Raises:
        DataError: missing, no picture, or larger than Pillow considers safe.
    """
    with _reading(path) as file:
        oddities = tuple(_oddities(file))  # first: to find EXIF in a PNG, Pillow decodes all of it
        turned = file.getexif().get(ORIENTATION, 1)
        return Facts(*file.size, oddities, turned if isinstance(turned, int) else 1)


def _oddities(file: Image.Image) -> Iterator[str]:
    stored = " ".join(str(tile[3]) for tile in getattr(file, "tile", ()))
    if file.mode in SIXTEEN_BITS or ";16" in stored:
        yield "16 bits a channel"
    if file.mode == "F":
        yield "floating point"
    if file.mode == "1":
        yield "1 bit a pixel"
    if file.mode in ("L", "LA", "La", *SIXTEEN_BITS):
        yield "grey"
    if file.mode in ("P", "PA"):
        yield "palette"
    if file.mode in ("CMYK", "LAB", "HSV"):
        yield file.mode
    if file.has_transparency_data:
        yield "alpha"
    if file.getexif().get(ORIENTATION, 1) != 1:
        yield "EXIF rotation"
    if getattr(file, "n_frames", 1) > 1:
        yield "animated; only its first frame is read"


def _open(path: Path) -> Image.Image:
    with _reading(path) as file:
        file.load()
        return _eight_bits(ImageOps.exif_transpose(file))


@contextmanager
def _reading(path: Path) -> Iterator[Image.Image]:
    try:
        with warnings.catch_warnings():
            # Only bombs are errors: Pillow also warns of small faults, such as bad EXIF.
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path) as file:
                yield file
    except FileNotFoundError:
        raise DataError(f"{path}: no such picture") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise DataError(
            f"{path}: more than {Image.MAX_IMAGE_PIXELS} pixels; scale it down first"
        ) from None
    except Exception as error:  # Pillow's decoders raise nearly anything on broken files
        raise DataError(f"{path}: not a readable picture: {_reason(path, error)}") from None


def _reason(path: Path, error: Exception) -> str:
    try:
        if path.stat().st_size == 0:
            return "the file is empty"
    except OSError:
        pass
    if isinstance(error, UnidentifiedImageError):
        return "no known picture format"
    return str(error)


def _eight_bits(picture: Image.Image) -> Image.Image:
    """Deep grey scaled to 8 bits; Pillow's own conversion would clip it at 255."""
    if picture.mode == "F":
        raise ValueError("floating point pixels; save it with 8 or 16 bits a channel")
    if picture.mode not in SIXTEEN_BITS:
        return picture
    values = np.asarray(picture).astype(np.int64)
    if values.min() < 0 or values.max() > 65535:
        raise ValueError("more than 16 bits a channel; save it with 8 or 16")
    return Image.fromarray(((values + 128) // 257).astype(np.uint8))


def _sized(picture: Image.Image, size: int | None) -> np.ndarray:
    if size is not None and picture.size != (size, size):
        picture = picture.resize((size, size), Image.Resampling.LANCZOS, reducing_gap=3.0)
    return np.asarray(picture)
