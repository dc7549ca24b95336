"""The files of textures: PNG with 8 or 16 bits a channel, and DDS."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
from PIL import Image

from uvtex.evaluation.grids import encode_png

RGB, RGBA = 2, 6
"""The colour types of PNG."""


def with_alpha(pixels: np.ndarray, known: np.ndarray) -> np.ndarray:
    """A texture [T, T, 3] with an alpha channel, [T, T, 4]: opaque where it is known.

    The texels that are not known keep their colour.

    Args:
        known: bool [S, S]; enlarged to the texture's size without interpolation.
    """
    side = len(pixels)
    at = (np.arange(side) * len(known)) // side
    top = np.iinfo(pixels.dtype).max
    opaque = np.where(known[at][:, at], top, 0).astype(pixels.dtype)
    return np.dstack([pixels, opaque])


def encode_pixels(pixels: np.ndarray) -> bytes:
    """The PNG file of a picture [H, W, 3] or [H, W, 4] with 8 or 16 bits a channel.

    Pillow writes no colours with 16 bits.
    """
    if pixels.dtype == np.uint8:
        return encode_png(Image.fromarray(pixels))
    height, width, channels = pixels.shape
    packer = zlib.compressobj(6)
    lines = []
    before = np.zeros(width * channels * 2, np.uint8)
    for row in pixels:
        line = np.ascontiguousarray(row.astype(">u2")).view(np.uint8).ravel()
        lines.append(packer.compress(b"\x02" + (line - before).tobytes()))  # filter 2: up
        before = line
    lines.append(packer.flush())
    out = io.BytesIO(b"\x89PNG\r\n\x1a\n")
    out.seek(0, io.SEEK_END)
    colours = RGB if channels == 3 else RGBA
    header = struct.pack(">IIBBBBB", width, height, 16, colours, 0, 0, 0)
    for kind, content in ((b"IHDR", header), (b"IDAT", b"".join(lines)), (b"IEND", b"")):
        out.write(struct.pack(">I", len(content)) + kind + content)
        out.write(struct.pack(">I", zlib.crc32(kind + content)))
    return out.getvalue()


def encode_dds(png: bytes) -> bytes:
    """The DDS file of a PNG picture, 8 bits: DXT1, or DXT5 if the picture has an alpha channel.

    It has no mipmaps: Pillow writes none, and editors make them. A side is a multiple of 4 in both
    formats. Other sides are not compressed.
    """
    with Image.open(io.BytesIO(png)) as file:
        picture = file.convert("RGBA" if "A" in file.getbands() else "RGB")
    out = io.BytesIO()
    form = "DXT5" if picture.mode == "RGBA" else "DXT1"
    packed = {"pixel_format": form} if not any(side % 4 for side in picture.size) else {}
    picture.save(out, "DDS", **packed)
    return out.getvalue()
