"""Pictures that are nearly the same: a perceptual hash to find them, their colours to be sure.

The hash is dHash (N. Krawetz, "Kind of Like That", 2013) on a finer grid and with a dead zone: each
bit says whether the grey grows from one cell to the next by more than what noise does. Views of one
camera share their backdrop and their car's shape, so the hash looks at the car alone, cut out by
its mask; and it is blind to paint, so a pair is confirmed by its colours.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

GRID = 16
"""Cells a side; the hash has GRID * GRID bits."""
DEAD_ZONE = 3
"""Of 255: smaller steps of grey are no step."""
BITS_APART = 36
"""Hashes that differ in more bits, of 256, are of different pictures. Noise of 4 levels and JPEG
flip up to 33 on pictures of 32 px; other liveries under one camera differ in 57 (median)."""
COLOURS_APART = 6.0
"""Mean difference of the cells' colours, of 255, up to which pictures are the same."""
_BLOCK = 256
_POPCOUNT = np.array([bin(byte).count("1") for byte in range(256)], np.uint8)


@dataclass(frozen=True)
class Print:
    """What is compared of a picture."""

    bits: np.ndarray  # uint8 [GRID * GRID / 8], the hash
    colours: np.ndarray  # int16 [GRID, GRID, 3] in 0..255
    weight: np.ndarray  # float32 [GRID, GRID] in [0, 1]: how much of a cell is the car's


@dataclass(frozen=True)
class Match:
    """Two pictures that are nearly the same, by their places in the two lists."""

    a: int
    b: int
    bits: int  # that differ, of GRID * GRID
    colours: float  # mean difference, of 255


def fingerprint(rgb: np.ndarray, mask: np.ndarray | None = None) -> Print:
    """The print of a picture, uint8 [H, W, 3], or of what ``mask``, bool [H, W], leaves of it."""
    weight = np.ones((GRID, GRID), np.float32)
    if mask is not None and mask.shape == rgb.shape[:2] and mask.any():
        rows, columns = np.nonzero(mask.any(axis=1))[0], np.nonzero(mask.any(axis=0))[0]
        box = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        rgb = np.where(mask[..., None], rgb, np.uint8(128))[box]
        share = Image.fromarray(mask[box].astype(np.float32))
        weight = np.asarray(share.resize((GRID, GRID), Image.Resampling.BOX))
    picture = Image.fromarray(rgb)
    grey = picture.convert("L").resize((GRID + 1, GRID), Image.Resampling.BOX)
    steps = np.diff(np.asarray(grey, np.int16), axis=1) > DEAD_ZONE
    colours = np.asarray(picture.resize((GRID, GRID), Image.Resampling.BOX), np.int16)
    return Print(np.packbits(steps), colours, weight)


def matches(a: Sequence[Print], b: Sequence[Print]) -> list[Match]:
    """Every near-duplicate between two lists, the closest first."""
    if not a or not b:
        return []
    bits_b = np.stack([p.bits for p in b])
    found = []
    for start in range(0, len(a), _BLOCK):
        block = np.stack([p.bits for p in a[start : start + _BLOCK]])
        apart = sum(
            _POPCOUNT[block[:, None, byte] ^ bits_b[None, :, byte]].astype(np.uint16)
            for byte in range(bits_b.shape[1])
        )
        for i, j in np.argwhere(apart <= BITS_APART):
            colours = _colours_apart(a[start + i], b[j])
            if colours <= COLOURS_APART:
                found.append(Match(int(start + i), int(j), int(apart[i, j]), colours))
    return sorted(found, key=lambda match: (match.colours, match.bits, match.a, match.b))


def _colours_apart(a: Print, b: Print) -> float:
    weight = a.weight * b.weight
    apart = np.abs(a.colours - b.colours).mean(axis=2)
    return float((apart * weight).sum() / weight.sum()) if weight.any() else float(apart.mean())
