"""How sharp photos are beside each other, by the detail that they show of the same texels.

Multi-view texturing weighs a view by the gradient of its pixels (Gal et al. 2010; Waechter et al.
2014): a photo that is out of focus, shaken or enlarged has less of it. The gradient of a texel says
more of the paint than of the photo. So a photo is compared with the largest gradient that any photo
shows of the same texels. Blocks with little detail borrow from the whole photo.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import ndimage

from uvtex.imaging.full_size.photo_paint import srgb
from uvtex.imaging.full_size.photo_texels import PhotoTexels, bands

EACH = 8
"""Every so many texels of a row are compared."""
SEEN_WELL = 0.3
"""Confidence from which on a texel's gradient is compared: glancing views of it say little."""
FEWEST = 0.01
"""Share of the texels that a photo must share with others. Else it counts fully."""
BLOCKS = 16
"""Number of blocks along a side of the texture."""
PRIOR = 4.0
"""Detail of the whole photo that counts in a block, in parts of a mean block's detail."""
SHARP = 0.75
"""Sharpness, in parts of the sharpest photo's, from which on a photo counts fully.

Below it counts in proportion. Where from a car is seen matters too: sharp photos have 0.85 to 1.
"""
LEAST = 0.1
"""Least weight, so that texels are taken from a blurred photo where it alone shows them."""


def detail_of(photo: PhotoTexels) -> np.ndarray:
    """The squared gradient of every EACH-th texel of each row, of sRGB in [0, 1]: [size, m].

    The texels of a row lie one further left than those of the row above, so that no regular paint
    lies between all of them. NaN where the photo does not show a texel and its neighbours well.
    """
    size = photo.size
    found = np.full((size, -(-size // EACH)), np.nan, np.float32)
    for rows in bands(size):
        y, x = np.mgrid[rows.start : min(rows.stop, size), :size]
        phase = (y + x) % EACH
        texels = photo.of(rows, phase < 2)
        paint = np.full((*phase.shape, 3), np.nan, np.float32)
        well = texels.sure > SEEN_WELL
        paint[texels.row[well], texels.column[well]] = srgb(texels.paint[well])
        row, column = np.nonzero(phase[:-1, :-1] == 0)
        here, below, right = paint[row, column], paint[row + 1, column], paint[row, column + 1]
        steps = ((below - here) ** 2).sum(axis=1) + ((right - here) ** 2).sum(axis=1)
        found[rows.start + row, column // EACH] = steps
    return found


def weights(details: Sequence[np.ndarray]) -> tuple[list[np.ndarray], list[float]]:
    """The weights of photos by their sharpness, in [LEAST, 1].

    Args:
        details: of :func:`detail_of`, of all photos of a texture.

    Returns:
        For each photo the weights of blocks of the texture, float32 [BLOCKS, BLOCKS], and its
        sharpness as a whole, in parts of the sharpest photo's.
    """
    shown = np.isfinite(details)
    several = shown.sum(axis=0) > 1
    filled = np.where(shown, details, 0)
    best = filled.max(axis=0)
    each, whole = [], []
    for gradient, seen in zip(filled, shown & several, strict=True):
        own, most = (_pooled(x * seen) for x in (gradient, best))
        enough = seen.mean() >= FEWEST and most.sum() > 0
        total = np.sqrt(own.sum() / most.sum()) if enough else np.nan
        prior = PRIOR * most.mean() + 1e-12
        each.append(np.sqrt((own + prior * total**2) / (most + prior)))
        whole.append(float(total))
    if np.isnan(whole).all():
        return [np.ones((BLOCKS, BLOCKS), np.float32) for _ in whole], [1.0] * len(whole)
    ranks = np.nan_to_num(np.array(each) / np.nanmax(each, axis=0), nan=1.0)
    shares = np.nan_to_num(np.array(whole) / np.nanmax(whole), nan=1.0)
    found = (ranks / SHARP).clip(LEAST, 1).astype(np.float32)
    return [*found], shares.tolist()


def _pooled(detail: np.ndarray) -> np.ndarray:
    """The sums of a map in blocks, a little blurred: [BLOCKS, BLOCKS]."""
    row, column = (np.arange(n) * BLOCKS // n for n in detail.shape)
    sums = np.bincount((row[:, None] * BLOCKS + column).ravel(), detail.ravel(), BLOCKS**2)
    blurred: np.ndarray = ndimage.gaussian_filter(sums.reshape(BLOCKS, BLOCKS), 0.7)
    return blurred
