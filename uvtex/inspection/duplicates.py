"""Near-duplicate pictures: a perceptual hash finds them, and their colours confirm them.

The hash is dHash (N. Krawetz, "Kind of Like That", 2013) with a finer grid and a dead zone. A bit
is 1 if the grey value rises from one cell to the next by more than noise does.

Views of one camera share the backdrop and the car's outline. Therefore the hash sees only the car,
cut out by its mask. The hash hardly sees colours. Therefore a pair also needs similar colours.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

GRID = 16
"""Cells along each side. The hash has GRID * GRID bits."""
DEAD_ZONE = 3
"""Grey levels, of 255. A rise of this many or fewer is noise."""
BITS_APART = 36
"""Hashes of near-duplicates differ in at most this many of 256 bits.

Noise of 4 grey levels and JPEG flip up to 33 bits of pictures of 32 pixels. Two liveries under one
camera differ in 57 bits (median).
"""
COLOURS_APART = 6.0
"""Colours of near-duplicates differ by at most this much: the mean over the cells, of 255."""
_BLOCK = 256
"""Hashes of the first list that are compared at a time, to bound the memory."""
_POPCOUNT = np.array([bin(byte).count("1") for byte in range(256)], np.uint8)


@dataclass(frozen=True)
class Fingerprint:
    """The parts of a picture that are compared."""

    bits: np.ndarray  # uint8 [GRID * GRID / 8], the hash
    colours: np.ndarray  # int16 [GRID, GRID, 3] in 0..255
    weight: np.ndarray  # float32 [GRID, GRID] in [0, 1]: share of the cell that the car covers


@dataclass(frozen=True)
class Match:
    """Two near-duplicates, by their indices in the two lists."""

    a: int
    b: int
    bits: int  # number of differing bits, of GRID * GRID
    colours: float  # mean difference of the colours, of 255


def fingerprint(rgb: np.ndarray, mask: np.ndarray | None = None) -> Fingerprint:
    """The fingerprint of a picture.

    Args:
        rgb: uint8 [H, W, 3].
        mask: bool [H, W], True on the car; None: the whole picture. A mask that is empty or of
            another size is ignored.
    """
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
    return Fingerprint(np.packbits(steps), colours, weight)


def matches(a: Sequence[Fingerprint], b: Sequence[Fingerprint]) -> list[Match]:
    """All pairs of near-duplicates between two lists, the closest pair first."""
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


def _colours_apart(a: Fingerprint, b: Fingerprint) -> float:
    weight = a.weight * b.weight
    apart = np.abs(a.colours - b.colours).mean(axis=2)
    return float((apart * weight).sum() / weight.sum()) if weight.any() else float(apart.mean())
