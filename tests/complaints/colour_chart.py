"""A colour chart, and its pictures in the colour spaces that programs save."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
from PIL import Image

from tests.complaints import icc_profiles as icc
from uvtex.data import pictures

SIDE = 8
"""Pixels along a patch's side."""
PATCHES = np.array(
    [
        *[(30, 160, 60), (150, 150, 150), (220, 40, 30), (115, 82, 68), (194, 150, 130)],
        *[(98, 122, 157), (87, 108, 67), (133, 128, 177), (103, 189, 170), (214, 126, 44)],
        *[(80, 91, 166), (193, 90, 99), (94, 60, 108), (157, 188, 64), (224, 163, 46)],
        *[(56, 61, 150), (70, 148, 73), (175, 54, 60), (231, 199, 31), (187, 86, 149)],
        *[(243, 243, 242), (200, 200, 200), (122, 122, 121), (52, 52, 52)],
    ]
)
"""Twenty-four sRGB colours: paints, and the greys of a scale."""


def spread(patches: np.ndarray) -> np.ndarray:
    """Patches [24, C] as a picture [4 SIDE, 6 SIDE, C]."""
    return patches.reshape(4, 6, -1).repeat(SIDE, axis=0).repeat(SIDE, axis=1)


P3 = icc.WIDE[0].profile
CHART = spread(PATCHES.astype(np.uint8))


def save(path: Path, numbers: np.ndarray, profile: bytes | None, **options: object) -> Path:
    """Numbers in [0, 1] as a picture of 8 bits."""
    pixels = np.round(numbers * 255).astype(np.uint8)
    Image.fromarray(pixels).save(path, icc_profile=profile, **options)
    return path


def with_chunks(path: Path, **chunks: bytes) -> Path:
    """Adds chunks to a PNG, before its pixels."""
    content = path.read_bytes()
    added = b""
    for name, data in chunks.items():
        kind = name.encode()
        added += struct.pack(">I", len(data)) + kind + data
        added += struct.pack(">I", zlib.crc32(kind + data))
    path.write_bytes(content[:33] + added + content[33:])
    return path


def iccp(profile: bytes) -> bytes:
    return b"profile\0\0" + zlib.compress(profile)


def apart(path: Path, expected: np.ndarray = CHART) -> float:
    """The largest difference of a read picture, in levels of 255."""
    return float(np.abs(pictures.read_rgb(path).astype(float) - expected).max())


def oddities(path: Path) -> str:
    return "; ".join(pictures.describe(path).oddities)


SAVED: dict[str, tuple[dict[str, object], float]] = {
    "png": ({}, 0),
    "tif": ({"compression": "tiff_lzw"}, 0),
    "webp": ({"lossless": True, "exact": True}, 0),
    "jpg": ({"quality": 100, "subsampling": 0}, 2),
    "avif": ({"quality": 100, "subsampling": "4:4:4"}, 3),
}
"""Ending -> options, and levels that the format itself loses."""
