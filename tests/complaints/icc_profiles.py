"""Colour profiles made by hand, and the arithmetic that they stand for.

Nothing here uses the product's own profiles: the two are held against each other.
"""

from __future__ import annotations

import struct
from collections.abc import Callable

import numpy as np

D50 = np.array([0.9642, 1.0, 0.8249])
D65 = (0.3127, 0.3290)
SRGB = ((0.64, 0.33), (0.30, 0.60), (0.15, 0.06)), D65
P3 = ((0.68, 0.32), (0.265, 0.69), (0.15, 0.06)), D65
ADOBE = ((0.64, 0.33), (0.21, 0.71), (0.15, 0.06)), D65
PROPHOTO = ((0.7347, 0.2653), (0.1596, 0.8404), (0.0366, 0.0001)), (0.3457, 0.3585)
BT2020 = ((0.708, 0.292), (0.17, 0.797), (0.131, 0.046)), D65

Space = tuple[tuple[tuple[float, float], ...], tuple[float, float]]


def decode_srgb(value: np.ndarray) -> np.ndarray:
    return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)


def encode_srgb(value: np.ndarray) -> np.ndarray:
    return np.where(
        value <= 0.0031308, value * 12.92, 1.055 * np.maximum(value, 0) ** (1 / 2.4) - 0.055
    )


def matrix(space: Space) -> np.ndarray:
    """From linear RGB to XYZ under D50, by the Bradford transform."""
    points, white = space
    primaries = np.array([[x / y, 1, (1 - x - y) / y] for x, y in points]).T
    light = np.array([white[0] / white[1], 1, (1 - white[0] - white[1]) / white[1]])
    cones = np.array(
        [[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]]
    )
    adapt = np.linalg.solve(cones, np.diag((cones @ D50) / (cones @ light)) @ cones)
    return adapt @ primaries * np.linalg.solve(primaries, light)


class Wide:
    """An RGB space: its profile, and its numbers for sRGB colours and back."""

    def __init__(self, name: str, space: Space, gamma: float | None) -> None:
        self.name, self.gamma = name, gamma
        self.to_xyz = matrix(space)
        self.profile = rgb_profile(name, self.to_xyz, gamma)

    def numbers(self, srgb: np.ndarray) -> np.ndarray:
        """The numbers in [0, 1] of sRGB colours in [0, 1]."""
        linear = decode_srgb(srgb) @ (np.linalg.inv(self.to_xyz) @ matrix(SRGB)).T
        linear = np.clip(linear, 0, 1)
        return encode_srgb(linear) if self.gamma is None else linear ** (1 / self.gamma)

    def linear_srgb(self, numbers: np.ndarray) -> np.ndarray:
        """The linear sRGB light of numbers in [0, 1]; outside of [0, 1] beyond sRGB's gamut."""
        linear = decode_srgb(numbers) if self.gamma is None else numbers**self.gamma
        return linear @ (np.linalg.inv(matrix(SRGB)) @ self.to_xyz).T

    def srgb(self, numbers: np.ndarray) -> np.ndarray:
        return encode_srgb(np.clip(self.linear_srgb(numbers), 0, 1))


def _fixed(*values: float) -> bytes:
    return b"".join(struct.pack(">i", round(float(value) * 65536)) for value in values)


def _desc(text: str) -> bytes:
    plain = text.encode("ascii") + b"\0"
    return b"desc\0\0\0\0" + struct.pack(">I", len(plain)) + plain + bytes(78)


def _xyz(values: np.ndarray) -> bytes:
    return b"XYZ \0\0\0\0" + _fixed(*values)


def curve(of: Callable[[np.ndarray], np.ndarray] | float) -> bytes:
    """A tone curve of version 2: an exponent, or a table of 1024 points."""
    if not callable(of):
        return b"curv\0\0\0\0" + struct.pack(">IH", 1, round(of * 256)) + b"\0\0"
    table = np.round(of(np.linspace(0, 1, 1024)) * 65535).astype(">u2").tobytes()
    return b"curv\0\0\0\0" + struct.pack(">I", 1024) + table


def profile(kind: bytes, space: bytes, connection: bytes, tags: list[tuple[bytes, bytes]]) -> bytes:
    """The file of a profile of version 2.4."""
    start, table, body = 132 + 12 * len(tags), b"", b""
    for name, content in tags:
        table += name + struct.pack(">II", start + len(body), len(content))
        body += content + bytes(-len(content) % 4)
    head = struct.pack(">I4sI", start + len(body), b"test", 0x02400000)
    head += kind + space + connection + bytes(12) + b"acsp" + bytes(28) + _fixed(*D50) + bytes(48)
    return head + struct.pack(">I", len(tags)) + table + body


def rgb_profile(name: str, to_xyz: np.ndarray, gamma: float | None) -> bytes:
    tone = curve(decode_srgb if gamma is None else gamma)
    tags = [(b"desc", _desc(name)), (b"cprt", b"text\0\0\0\0none\0"), (b"wtpt", _xyz(D50))]
    tags += [(f"{c}XYZ".encode(), _xyz(to_xyz[:, k])) for k, c in enumerate("rgb")]
    tags += [(f"{c}TRC".encode(), tone) for c in "rgb"]
    return profile(b"mntr", b"RGB ", b"XYZ ", tags)


def grey_profile(name: str, gamma: float) -> bytes:
    tags = [(b"desc", _desc(name)), (b"cprt", b"text\0\0\0\0none\0"), (b"wtpt", _xyz(D50))]
    return profile(b"mntr", b"GRAY", b"XYZ ", [*tags, (b"kTRC", curve(gamma))])


INKS = np.array([[0, 150, 220], [215, 20, 125], [245, 225, 20], [35, 31, 32]]) / 255
"""sRGB of full cyan, magenta, yellow and black ink, of no formula's."""
GRID = 9


def printed(cmyk: np.ndarray) -> np.ndarray:
    """sRGB in [0, 1] of inks in [0, 1], [..., 4]: each ink filters the linear light."""
    return encode_srgb((1 - cmyk[..., None] * (1 - decode_srgb(INKS))).prod(axis=-2))


def lab(srgb: np.ndarray) -> np.ndarray:
    """CIE Lab under D50 of sRGB in [0, 1]."""
    ratio = decode_srgb(srgb) @ matrix(SRGB).T / D50
    f = np.where(ratio > (6 / 29) ** 3, np.cbrt(ratio), ratio * 841 / 108 + 4 / 29)
    return np.stack(
        [116 * f[..., 1] - 16, 500 * (f[..., 0] - f[..., 1]), 200 * (f[..., 1] - f[..., 2])], -1
    )


def cmyk_profile(name: str) -> bytes:
    """A printer's profile with :func:`printed` as a table of GRID ** 4 colours."""
    axis = np.linspace(0, 1, GRID)
    nodes = np.stack(np.meshgrid(axis, axis, axis, axis, indexing="ij"), axis=-1)
    colours = lab(printed(nodes)) / [100, 1, 1] * [0xFF00, 256, 256] + [0, 0x8000, 0x8000]
    table = b"mft2\0\0\0\0" + struct.pack(">BBBx", 4, 3, GRID)
    table += _fixed(1, 0, 0, 0, 1, 0, 0, 0, 1) + struct.pack(">HH", 2, 2)
    table += struct.pack(">8H", *[0, 65535] * 4)
    table += np.round(colours).clip(0, 65535).astype(">u2").tobytes()
    table += struct.pack(">6H", *[0, 65535] * 3)
    tags = [(b"desc", _desc(name)), (b"cprt", b"text\0\0\0\0none\0"), (b"wtpt", _xyz(D50))]
    return profile(b"prtr", b"CMYK", b"Lab ", [*tags, (b"A2B0", table)])


WIDE = [
    Wide("Display P3", P3, None),
    Wide("Adobe RGB (1998)", ADOBE, 563 / 256),
    Wide("ProPhoto RGB", PROPHOTO, 1.8),
]
