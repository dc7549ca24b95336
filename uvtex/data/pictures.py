"""Reading pictures people supply, at the size a network wants."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from uvtex.errors import DataError


def read_rgb(path: Path, size: int | None = None) -> np.ndarray:
    """An sRGB picture as uint8 [H, W, 3]; squared to [size, size, 3] when ``size`` is given.

    EXIF rotation is applied and transparency laid over mid-grey.

    Raises:
        DataError: missing, truncated, no picture, or larger than Pillow considers safe.
    """
    picture = _open(path)
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
        ground = Image.new("RGBA", picture.size, (128, 128, 128, 255))
        picture = Image.alpha_composite(ground, picture)
    return _sized(picture.convert("RGB"), size)


def read_grey(path: Path, size: int | None = None) -> np.ndarray:
    """A mask as uint8 [H, W]; see :func:`read_rgb`."""
    return _sized(_open(path).convert("L"), size)


def _open(path: Path) -> Image.Image:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path) as file:
                file.load()
                return ImageOps.exif_transpose(file)
    except FileNotFoundError:
        raise DataError(f"{path}: no such picture") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise DataError(
            f"{path}: more than {Image.MAX_IMAGE_PIXELS} pixels; scale it down first"
        ) from None
    except Exception as error:  # Pillow's decoders raise nearly anything on broken files
        raise DataError(f"{path}: not a readable picture: {error}") from None


def _sized(picture: Image.Image, size: int | None) -> np.ndarray:
    if size is not None and picture.size != (size, size):
        picture = picture.resize((size, size), Image.Resampling.LANCZOS, reducing_gap=3.0)
    return np.asarray(picture)
