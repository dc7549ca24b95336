"""Textures at full resolution, from prepared photos: see :mod:`uvtex.imaging.full_size`."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from uvtex.data import pictures
from uvtex.evaluation.grids import encode_png, to_picture
from uvtex.imaging.full_size import DOUBTFUL, FullTexture
from uvtex.inference.photos import Photo
from uvtex.models import Predictor


@dataclass(frozen=True)
class FullSize:
    """A texture that was sampled from photos, and what is known of each texel."""

    texture: np.ndarray  # uint8 or uint16 [T, T, 3]
    confidence: np.ndarray  # uint8 [T, T]
    layers: np.ndarray  # uint8 [T, T] of 255 seen, 128 mended, 0 unknown
    sampled: float
    """Share of the texels that were sampled from a photo."""

    def files(self) -> dict[str, bytes]:
        """Kind of result -> the PNG file: ``texture``, ``confidence`` and ``layers``."""
        return {
            "texture": encode_pixels(self.texture),
            "confidence": encode_png(Image.fromarray(self.confidence)),
            "layers": encode_png(Image.fromarray(self.layers)),
        }


def samples_photos(predictor: Predictor, native: int, side: int | None) -> bool:
    """Whether a texture of ``side`` texels is sampled from the photos themselves."""
    return side is not None and side > native and predictor.knows_geometry


@torch.no_grad()
def full_size(
    predictor: Predictor, photos: Sequence[Photo], views: Tensor, texture: Tensor, side: int
) -> FullSize:
    """The texture of ``side`` texels.

    Args:
        views: [N, 3, S, S], the views of ``photos``, on the predictor's device.
        texture: [3, S, S] in [-1, 1], the network's texture of all of them.

    Raises:
        DataError: a photo can no longer be read.
    """
    whole = FullTexture(side)
    deep = False
    for photo, geometry in zip(photos, predictor.geometry(views), strict=True):
        pixels = pictures.read_sixteen(photo.path)
        deep |= pixels is not None
        if pixels is None:
            pixels = pictures.read_rgb(photo.path)
        opaque = pictures.read_alpha(photo.path) if "alpha" in photo.facts.oddities else None
        whole.add(pixels, photo.square, geometry, opaque)
    unknown = predictor.groundless(views).cpu().numpy()
    layers = whole.layers(unknown)
    return FullSize(
        whole.finish(np.asarray(to_picture(texture)), deep),
        (whole.confidence * 255).round().astype(np.uint8),
        layers,
        float((whole.confidence > DOUBTFUL).mean()),
    )


def encode_pixels(pixels: np.ndarray) -> bytes:
    """The PNG file of an RGB picture [H, W, 3] with 8 or 16 bits a channel.

    Pillow writes no RGB with 16 bits.
    """
    if pixels.dtype == np.uint8:
        return encode_png(Image.fromarray(pixels))
    height, width = pixels.shape[:2]
    packer = zlib.compressobj(6)
    lines = []
    before = np.zeros(width * 6, np.uint8)
    for row in pixels:
        line = np.ascontiguousarray(row.astype(">u2")).view(np.uint8).ravel()
        lines.append(packer.compress(b"\x02" + (line - before).tobytes()))  # filter 2: up
        before = line
    lines.append(packer.flush())
    out = io.BytesIO(b"\x89PNG\r\n\x1a\n")
    out.seek(0, io.SEEK_END)
    header = struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0)
    for kind, content in ((b"IHDR", header), (b"IDAT", b"".join(lines)), (b"IEND", b"")):
        out.write(struct.pack(">I", len(content)) + kind + content)
        out.write(struct.pack(">I", zlib.crc32(kind + content)))
    return out.getvalue()


def encode_dds(png: bytes) -> bytes:
    """The DDS file of a PNG picture: DXT1, without mipmaps, which editors make themselves.

    A side is a multiple of 4 in DXT1. Other sides are not compressed.
    """
    with Image.open(io.BytesIO(png)) as file:
        picture = file.convert("RGB")
    out = io.BytesIO()
    packed = {"pixel_format": "DXT1"} if not any(side % 4 for side in picture.size) else {}
    picture.save(out, "DDS", **packed)
    return out.getvalue()
