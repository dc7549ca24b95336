"""ICC profiles of colour spaces that are given by numbers: their primaries and their curve."""

from __future__ import annotations

import struct
from functools import lru_cache
from typing import NamedTuple

import numpy as np

Point = tuple[float, float]
"""CIE xy."""
D50 = (0.9642, 1.0, 0.8249)
"""The white of ICC profiles, CIE XYZ."""
BRADFORD = np.array(
    [[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]]
)
"""From XYZ to the responses in which ICC profiles adapt a white to D50 (ICC.1:2022, annex E)."""
SRGB_CURVE = (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
"""IEC 61966-2-1, as the parameters g, a, b, c, d of an ICC curve of type 3."""


class Primaries(NamedTuple):
    """White, red, green and blue of an RGB space."""

    white: Point
    red: Point
    green: Point
    blue: Point

    def near(self, other: Primaries) -> bool:
        """Whether both are equal but for rounding."""
        return bool(np.abs(np.array(self) - np.array(other)).max() < 0.002)


D65 = (0.3127, 0.3290)
SRGB = Primaries(D65, (0.64, 0.33), (0.30, 0.60), (0.15, 0.06))
DISPLAY_P3 = Primaries(D65, (0.68, 0.32), (0.265, 0.69), (0.15, 0.06))
BT2020 = Primaries(D65, (0.708, 0.292), (0.17, 0.797), (0.131, 0.046))
ADOBE_RGB = Primaries(D65, (0.64, 0.33), (0.21, 0.71), (0.15, 0.06)), 563 / 256
"""Primaries and gamma of Adobe RGB (1998)."""
CODED_PRIMARIES = {
    1: ("sRGB", SRGB),
    2: ("sRGB", SRGB),  # not specified
    5: ("BT.601", Primaries(D65, (0.64, 0.33), (0.29, 0.60), (0.15, 0.06))),
    6: ("BT.601", Primaries(D65, (0.63, 0.34), (0.31, 0.595), (0.155, 0.07))),
    7: ("BT.601", Primaries(D65, (0.63, 0.34), (0.31, 0.595), (0.155, 0.07))),
    9: ("BT.2020", BT2020),
    12: ("Display P3", DISPLAY_P3),
}
"""Colour primaries of ITU-T H.273 -> name and chromaticities."""
CODED_TRANSFERS: dict[int, float | None] = {
    **dict.fromkeys((1, 2, 6, 13, 14, 15)),  # a camera's curve is meant for displays as sRGB's is
    4: 2.2,
    5: 2.8,
    8: 1.0,
}
"""Transfer characteristics of ITU-T H.273 -> gamma; None: sRGB's curve."""


@lru_cache(maxsize=32)
def rgb_profile(primaries: Primaries, gamma: float | None) -> bytes:
    """An ICC profile (version 4) of an RGB space.

    Args:
        gamma: exponent of the curve; None: sRGB's curve.

    Raises:
        ValueError: no such space can exist.
    """
    if gamma is not None and not 0.1 < gamma < 10:
        raise ValueError(f"gamma {gamma}")
    curve = (gamma,) if gamma is not None else SRGB_CURVE
    trc = b"para\0\0\0\0" + struct.pack(">HH", 0 if gamma is not None else 3, 0)
    trc += b"".join(map(_fixed, curve))
    columns = _to_d50(primaries).T
    text = b"mluc\0\0\0\0" + struct.pack(">II2s2sII", 1, 12, b"en", b"US", 0, 28)
    tags = [(b"desc", text), (b"cprt", text), (b"wtpt", _xyz(np.array(D50)))]
    tags += [(b"rgb"[k : k + 1] + b"XYZ", _xyz(column)) for k, column in enumerate(columns)]
    tags += [(b"rgb"[k : k + 1] + b"TRC", trc) for k in range(3)]
    return _file(tags)


def _to_d50(primaries: Primaries) -> np.ndarray:
    """The matrix from linear RGB to XYZ under D50, [3, 3]."""
    xy = np.array(primaries, dtype=float)
    if not np.isfinite(xy).all() or np.abs(xy).max() > 2 or np.abs(xy[:, 1]).min() < 1e-5:
        raise ValueError(f"chromaticities {primaries}")
    white, *rest = (np.array([x / y, 1.0, (1 - x - y) / y]) for x, y in xy)
    of = np.stack(rest, axis=1)
    if abs(np.linalg.det(of)) < 1e-6:
        raise ValueError(f"chromaticities {primaries}")
    cone = BRADFORD @ np.array(D50) / (BRADFORD @ white)
    matrix = np.linalg.inv(BRADFORD) @ np.diag(cone) @ BRADFORD @ (of * np.linalg.solve(of, white))
    if not np.isfinite(matrix).all() or np.abs(matrix).max() > 100:
        raise ValueError(f"chromaticities {primaries}")
    return np.asarray(matrix)


def _fixed(value: float) -> bytes:
    return struct.pack(">i", round(value * 65536))


def _xyz(values: np.ndarray) -> bytes:
    return b"XYZ \0\0\0\0" + b"".join(_fixed(float(value)) for value in values)


def _file(tags: list[tuple[bytes, bytes]]) -> bytes:
    """The profile's file: header, table of tags, and the tags (ICC.1:2022, 7.2 and 7.3)."""
    table, body, start = struct.pack(">I", len(tags)), b"", 128 + 4 + 12 * len(tags)
    for name, content in tags:
        table += name + struct.pack(">II", start + len(body), len(content))
        body += content + b"\0" * (-len(content) % 4)
    white = b"".join(map(_fixed, D50))
    head = struct.pack(">I4xI", start + len(body), 0x04400000) + b"mntrRGB XYZ " + bytes(12)
    head += b"acsp" + bytes(28) + white + bytes(48)
    return head + table + body
