"""A view's UV map turned inside out: for each texel, where in the view it is seen."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from scipy import ndimage

from uvtex.errors import DataError


def read_uv_map(path: Path) -> np.ndarray:
    """``uv`` of an ``.npz``: float32 [h, w, 2] in [0, 1], NaN where no paint is seen.

    Raises:
        DataError: missing, broken, or of another shape.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            uv: np.ndarray = archive["uv"].astype(np.float32)
    except Exception:  # numpy raises nearly anything on broken archives, with advice to unpickle
        raise DataError(
            f"{path}: not a readable UV map; an .npz with an array `uv` is needed"
        ) from None
    if uv.ndim != 3 or uv.shape[2] != 2:
        raise DataError(f"{path}: uv must be [h, w, 2], got {list(uv.shape)}")
    return uv


def invert(uv: np.ndarray, size: int, close: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Where each texel is seen.

    Args:
        uv: [h, w, 2] in [0, 1], u right and v up, NaN where no paint is seen.
        size: the texture's side, in texels; row 0 is v = 1.
        close: texels that no pixel hit but whose neighbours were are filled, so many steps.

    Returns:
        flow float32 [2, size, size], x then y in [-1, 1] with the view's outer edges at -1 and 1
        (grid_sample's ``align_corners=False``), the mean over all pixels that see the texel; and
        seen, bool [size, size]. Texels that are not seen take the flow of the nearest one that is,
        or 0 where the view sees no paint at all.
    """
    h, w = uv.shape[:2]
    rows, columns = np.nonzero(np.isfinite(uv).all(axis=2))
    u, v = uv[rows, columns].T
    texel = np.clip(((1 - v) * size).astype(np.int64), 0, size - 1) * size + np.clip(
        (u * size).astype(np.int64), 0, size - 1
    )
    hits = np.bincount(texel, minlength=size * size)
    xy = np.stack([(columns + 0.5) / w * 2 - 1, (rows + 0.5) / h * 2 - 1])
    sums = np.stack([np.bincount(texel, axis, minlength=size * size) for axis in xy])
    hit = (hits > 0).reshape(size, size)
    flow = (sums / np.maximum(hits, 1)).reshape(2, size, size).astype(np.float32)
    if not hit.any():
        return flow, hit
    nearest = ndimage.distance_transform_edt(~hit, return_distances=False, return_indices=True)
    seen = ndimage.binary_closing(hit, iterations=close) | hit if close else hit
    return flow[:, nearest[0], nearest[1]], seen
