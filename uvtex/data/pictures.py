"""Reads users' pictures at the size that a network needs, and describes their unusual properties.

A file may have 16 bits a channel, a palette, a colour profile, CMYK colours, alpha or a rotation
flag. The result is always 8-bit and upright. Views and textures are colours: they become sRGB
(:mod:`uvtex.data.colour.conversion`). Masks and alpha are data: their numbers stay as they are. A
picture that cannot be scaled to 8 bits without a guess is refused. It is never clipped.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageFile, ImageOps, UnidentifiedImageError

from uvtex.data import picture_formats
from uvtex.data.colour import deep
from uvtex.data.colour.conversion import colours_of, to_srgb
from uvtex.errors import DataError

ORIENTATION = 0x0112
"""The EXIF orientation tag. The value 1 is upright."""
SIXTEEN_BITS = ("I", "I;16", "I;16B", "I;16L", "I;16N")
"""Pillow's modes of 16-bit grey pictures. Some versions of Pillow open 16-bit PNGs as ``I``."""
ONE_PICTURE = ("MPO", "PSD", "ICO", "ICNS", "CUR")
"""Formats whose further frames are no pictures of their own.

A phone adds a depth map, a brightness map or a preview to its JPEG (MPO). The frames of a PSD are
its layers. Icons hold one picture in several sizes.
"""


@dataclass(frozen=True)
class Facts:
    """The properties of a picture file, before any conversion."""

    width: int  # pixels, as stored
    height: int
    oddities: tuple[str, ...]
    """Short clauses such as ``16 bits a channel`` or ``Display P3 profile, converted to sRGB``.
    Empty for plain 8-bit sRGB."""
    orientation: int = 1
    """EXIF orientation: 1 is upright, 2 to 8 are rotated or mirrored."""
    colours: tuple[str, ...] = ()
    """Those of the ``oddities`` that say how the colours became sRGB, or did not."""
    doubts: tuple[str, ...] = ()
    """Those of the ``oddities`` after which the picture may not look as people know it: colours
    that could not be converted, or further frames or pages."""


class _Refused(ValueError):
    """A picture that is whole, but is not read. The message says why, and what to do."""


def read_rgb(path: Path, size: int | None = None) -> np.ndarray:
    """An sRGB picture as uint8 [H, W, 3], or resized to [size, size, 3] if ``size`` is given.

    EXIF rotation is applied. The colours of other spaces are converted to sRGB. A transparent
    picture is composited over mid-grey. 16-bit channels are scaled to 8 bits.

    Raises:
        DataError: the file is missing, is truncated, is no picture, has floating point pixels, or
            is larger than Pillow considers safe.
    """
    with opened(path) as file:
        picture = _in_srgb(file)
        if picture.has_transparency_data:
            picture = picture.convert("RGBA")
            ground = Image.new("RGBA", picture.size, (128, 128, 128, 255))
            picture = Image.alpha_composite(ground, picture)
        return _sized(picture.convert("RGB"), size)


def read_sixteen(path: Path) -> np.ndarray | None:
    """An sRGB picture of 16 bits a channel as uint16 [H, W, 3], upright.

    None for a picture of 8 bits, and for one whose colours have to be converted: the conversion
    gives 8 bits.

    Raises:
        DataError: see :func:`read_rgb`.
    """
    with opened(path) as file:
        low = deep.low_bytes(file)  # first: colours_of() decodes all of a PNG
        if low is None or colours_of(file).transform is not None:
            return None
        high = np.asarray(_upright(file).convert("RGB")).astype(np.uint16)
        both: np.ndarray = high * 256 + np.asarray(low.convert("RGB"))
        return both


def resized(picture: np.ndarray, size: int) -> np.ndarray:
    """``picture`` resized to ``size``.

    The result is that of :func:`read_rgb` or :func:`read_rgba` at ``size``. ``picture`` is their
    result without a size.
    """
    return _sized(Image.fromarray(picture), size)


def read_grey(path: Path, size: int | None = None) -> np.ndarray:
    """A mask as uint8 [H, W]. Its numbers are data: a colour profile changes nothing.

    Raises:
        DataError: see :func:`read_rgb`.
    """
    with opened(path) as file:
        picture = _eight_bits(_upright(file))
        grey = picture.getchannel("L") if picture.mode == "LAB" else picture.convert("L")
        return _sized(grey, size)


def read_rgba(path: Path, size: int | None = None) -> np.ndarray:
    """A picture with its alpha channel, uint8 [H, W, 4]. See :func:`read_rgb`.

    A picture without transparency is opaque. Colours are not mixed with those of transparent
    pixels.
    """
    with opened(path) as file:
        picture = _in_srgb(file)
        if not picture.has_transparency_data:
            picture = picture.convert("RGB")  # Pillow makes no RGBA of CMYK
        return _sized(picture.convert("RGBA"), size)


def read_alpha(path: Path) -> np.ndarray | None:
    """A picture's alpha channel, uint8 [H, W]. None if it has no transparency.

    Raises:
        DataError: see :func:`read_rgb`.
    """
    with opened(path) as file:
        picture = _eight_bits(_upright(file))
        if not picture.has_transparency_data:
            return None
        return np.asarray(picture.convert("RGBA").getchannel("A"))


def numbers(picture: Image.Image) -> Image.Image:
    """``picture`` with 8 bits a channel, mode RGB, without any conversion of its colours."""
    return _eight_bits(picture).convert("RGB")


def describe(path: Path) -> Facts:
    """Size and oddities of a picture, from its header. The pixels are not decoded.

    Raises:
        DataError: the file is missing, is no picture, or is larger than Pillow considers safe.
    """
    with opened(path) as file:
        stored = tuple(_oddities(file))  # first: getexif() decodes all of a PNG
        colours = colours_of(file)
        frames = tuple(_frames(file))
        turned = _orientation(file)
        rotation = ("EXIF rotation",) if turned != 1 else ()
        oddities = (*stored, *colours.notes, *rotation, *frames)
        doubts = (*colours.faults, *frames)
        width, height = file.size
        if file.format == "TIFF" and turned > 4:  # Pillow gives a TIFF its upright size
            width, height = height, width
        return Facts(width, height, oddities, turned, colours.notes, doubts)


def _oddities(file: ImageFile.ImageFile) -> Iterator[str]:
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
    if file.mode in ("CMYK", "HSV"):
        yield file.mode
    if file.has_transparency_data:
        yield "alpha"


def _frames(file: ImageFile.ImageFile) -> Iterator[str]:
    try:
        count = 1 if file.format in ONE_PICTURE else getattr(file, "n_frames", 1)
    except Exception:  # a broken later frame, of which nothing is read
        return
    if count > 1:
        kind = {"TIFF": "pages", "DCX": "pages", "HEIF": "pictures"}.get(str(file.format))
        yield (
            f"{count} {kind}; only the first is read"
            if kind
            else "animated; only its first frame is read"
        )


def _orientation(file: ImageFile.ImageFile) -> int:
    turned = file.getexif().get(ORIENTATION, 1)
    return turned if isinstance(turned, int) and 1 <= turned <= 8 else 1


def _in_srgb(file: ImageFile.ImageFile) -> Image.Image:
    """The upright picture of an opened file, as sRGB with 8 bits a channel."""
    colours = colours_of(file)
    low = None if colours.transform is None else deep.low_bytes(file)
    picture = _upright(file)
    if low is not None:
        return deep.convert(picture, low, lambda rgb: to_srgb(rgb, colours))
    if colours.deep is not None and picture.mode in SIXTEEN_BITS:
        return to_srgb(Image.fromarray(_sixteen_bits(picture)), colours)
    return to_srgb(_eight_bits(picture), colours)


def _upright(file: ImageFile.ImageFile) -> Image.Image:
    if file.format == "TIFF" and _orientation(file) > 4:
        # Pillow 13.0 maps an uncompressed TIFF into memory at its upright size, which scrambles one
        # that lies on its side. It maps files with a name.
        file.filename = ""
    file.load()
    # Without a rotation, exif_transpose copies all pixels.
    return ImageOps.exif_transpose(file) if _orientation(file) != 1 else file


@contextmanager
def opened(path: Path) -> Iterator[ImageFile.ImageFile]:
    """A picture's file inside the block. Its pixels are not decoded yet.

    Raises:
        DataError: see :func:`read_rgb`; also for what Pillow raises inside the block.
    """
    try:
        with warnings.catch_warnings():
            # Only decompression bombs are errors. Pillow also warns of small faults.
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with _identified(path) as file:
                if (refusal := picture_formats.refusal(file)) is not None:
                    raise _Refused(refusal)
                yield file
    except FileNotFoundError:
        raise DataError(f"{path}: no such picture") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise DataError(
            f"{path}: more than {Image.MAX_IMAGE_PIXELS} pixels; scale it down first"
        ) from None
    except Exception as error:  # Pillow's decoders raise nearly anything on broken files
        raise DataError(f"{path}: not a readable picture: {_reason(path, error)}") from None


def _identified(path: Path) -> ImageFile.ImageFile:
    try:
        return Image.open(path)
    except UnidentifiedImageError:
        if not picture_formats.learned(path):
            raise
        return Image.open(path)


def _reason(path: Path, error: Exception) -> str:
    if path.is_dir():
        return "it is a folder"
    if isinstance(error, UnidentifiedImageError):
        try:
            return picture_formats.unidentified(path)
        except OSError as unreadable:
            error = unreadable
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    if isinstance(error, _Refused):
        return str(error)
    return f"{str(error) or type(error).__name__}; copy or save it again"


def _eight_bits(picture: Image.Image) -> Image.Image:
    """16-bit grey scaled to 8 bits. Pillow's own conversion would clip it at 255."""
    if picture.mode == "F":
        raise _Refused("floating point pixels; save it with 8 or 16 bits a channel")
    if picture.mode not in SIXTEEN_BITS:
        return picture
    values = _sixteen_bits(picture).astype(np.int64)
    return Image.fromarray(((values + 128) // 257).astype(np.uint8))


def _sixteen_bits(picture: Image.Image) -> np.ndarray:
    """The values of 16-bit grey, uint16 [H, W]."""
    values = np.asarray(picture)
    if values.min() < 0 or values.max() > 65535:
        raise _Refused("more than 16 bits a channel; save it with 8 or 16")
    return values.astype(np.uint16)


def _sized(picture: Image.Image, size: int | None) -> np.ndarray:
    if size is not None and picture.size != (size, size):
        picture = picture.resize((size, size), Image.Resampling.LANCZOS, reducing_gap=3.0)
    return np.asarray(picture)
