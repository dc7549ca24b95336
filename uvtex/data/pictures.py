"""Reads users' pictures at the size that a network needs, and describes their unusual properties.

A file may have 16 bits a channel, a palette, CMYK colours, alpha or a rotation flag. The result is
always 8-bit and upright. A picture that cannot be scaled to 8 bits without a guess is refused. It
is never clipped.
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
"""The EXIF orientation tag. The value 1 is upright."""
SIXTEEN_BITS = ("I", "I;16", "I;16B", "I;16L", "I;16N")
"""Pillow's modes of 16-bit grey pictures. Some versions of Pillow open 16-bit PNGs as ``I``."""


@dataclass(frozen=True)
class Facts:
    """The properties of a picture file, before any conversion."""

    width: int  # pixels, as stored
    height: int
    oddities: tuple[str, ...]
    """Short clauses such as ``16 bits a channel`` or ``CMYK``. Empty for plain 8-bit RGB."""
    orientation: int = 1
    """EXIF orientation: 1 is upright, 2 to 8 are rotated or mirrored."""


def read_rgb(path: Path, size: int | None = None) -> np.ndarray:
    """An sRGB picture as uint8 [H, W, 3], or resized to [size, size, 3] if ``size`` is given.

    EXIF rotation is applied. A transparent picture is composited over mid-grey. 16-bit channels are
    scaled to 8 bits.

    Raises:
        DataError: the file is missing, is truncated, is no picture, has floating point pixels, or
            is larger than Pillow considers safe.
    """
    picture = _open(path)
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
        ground = Image.new("RGBA", picture.size, (128, 128, 128, 255))
        picture = Image.alpha_composite(ground, picture)
    return _sized(picture.convert("RGB"), size)


def resized(picture: np.ndarray, size: int) -> np.ndarray:
    """``picture`` resized to ``size``.

    The result is that of :func:`read_rgb` or :func:`read_rgba` at ``size``. ``picture`` is their
    result without a size.
    """
    return _sized(Image.fromarray(picture), size)


def read_grey(path: Path, size: int | None = None) -> np.ndarray:
    """A mask as uint8 [H, W]. See :func:`read_rgb`."""
    return _sized(_open(path).convert("L"), size)


def read_rgba(path: Path, size: int | None = None) -> np.ndarray:
    """A picture with its alpha channel, uint8 [H, W, 4]. See :func:`read_rgb`.

    A picture without transparency is opaque. Colours are not mixed with those of transparent
    pixels.
    """
    return _sized(_open(path).convert("RGBA"), size)


def read_alpha(path: Path) -> np.ndarray | None:
    """A picture's alpha channel, uint8 [H, W]. None if it has no transparency.

    Raises:
        DataError: see :func:`read_rgb`.
    """
    picture = _open(path)
    if not picture.has_transparency_data:
        return None
    return np.asarray(picture.convert("RGBA").getchannel("A"))


def describe(path: Path) -> Facts:
    """Size and oddities of a picture, from its header. The pixels are not decoded.

    Raises:
        DataError: the file is missing, is no picture, or is larger than Pillow considers safe.
    """
    with _reading(path) as file:
        oddities = tuple(_oddities(file))  # first: getexif() decodes all of a PNG
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
            # Only decompression bombs are errors. Pillow also warns of small faults.
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
    """16-bit grey scaled to 8 bits. Pillow's own conversion would clip it at 255."""
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
