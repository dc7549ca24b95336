"""Converts the colours of pictures with 16 bits a channel.

Pillow keeps 8 bits of a colour, and so does its binding to littlecms. A wide colour space in 8 bits
has steps that are visible as bands after the conversion. So both bytes are read, and each colour is
interpolated between its neighbours on the scale of 8 bits, which littlecms converts.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np
from PIL import Image, ImageFile, ImageOps

ROWS = 256
"""Rows that are converted at a time, to bound the memory."""
_NATIVE_LOW = "B" if sys.byteorder == "little" else "L"
_LOW = {"B": "L", "L": "B", "N": _NATIVE_LOW}
"""Byte order of Pillow's raw modes -> the order that takes the other byte of each channel.

Of 16 bits Pillow keeps the byte that is the high one in the order it is told.
"""


def low_bytes(file: ImageFile.ImageFile) -> Image.Image | None:
    """The low bytes of an opened picture with 16 bits a channel, upright, of its mode.

    None for other pictures. Call it before the pixels of ``file`` are decoded.
    """
    if "transparency" in file.info:  # one colour is transparent, in numbers of 16 bits
        return None
    tiles = [(tile, _other(tile.args)) for tile in file.tile]
    if file.mode not in ("RGB", "RGBA") or not tiles or any(args is None for _, args in tiles):
        return None
    with Image.open(file.filename) as low:
        low.tile = [tile._replace(args=args) for tile, args in tiles]
        low.load()
        return ImageOps.exif_transpose(low)


def _other(args: tuple[Any, ...] | str | None) -> tuple[Any, ...] | str | None:
    """A decoder's arguments, with the raw mode first, for the low bytes; None: not 16 bits."""
    rest = args[1:] if isinstance(args, tuple) else None
    mode, _, order = str(args[0] if isinstance(args, tuple) and args else args).partition(";16")
    if mode not in ("RGB", "RGBA") or order not in _LOW:
        return None
    other = f"{mode};16{_LOW[order]}"
    return other if rest is None else (other, *rest)


def convert(
    high: Image.Image, low: Image.Image, to_srgb: Callable[[Image.Image], Image.Image]
) -> Image.Image:
    """A picture of 16 bits, in its high and low bytes, converted by ``to_srgb``; RGB or RGBA.

    Args:
        to_srgb: converts a picture of mode RGB.
    """
    alpha = high.getchannel("A") if high.mode == "RGBA" else None
    top, bottom = (np.asarray(picture.convert("RGB")) for picture in (high, low))
    done = np.empty_like(top)
    for start in range(0, len(top), ROWS):
        rows = slice(start, start + ROWS)
        done[rows] = _interpolated(top[rows], bottom[rows], to_srgb)
    converted = Image.fromarray(done)
    if alpha is not None:
        converted.putalpha(alpha)
    return converted


def _interpolated(
    top: np.ndarray, bottom: np.ndarray, to_srgb: Callable[[Image.Image], Image.Image]
) -> np.ndarray:
    """Trilinear between the eight colours of 8 bits around each colour, uint8 [h, W, 3]."""
    exact = (top.astype(np.float32) * 256 + bottom) / 257
    base = np.floor(exact)
    share = exact - base
    total = np.zeros_like(exact)
    for corner in product((0, 1), repeat=3):
        at = np.array(corner)
        colour = np.minimum(base + at, 255).astype(np.uint8)
        weight = np.where(at, share, 1 - share).prod(axis=2, keepdims=True)
        total += weight * np.asarray(to_srgb(Image.fromarray(colour)))
    return np.asarray(np.round(total), dtype=np.uint8)
