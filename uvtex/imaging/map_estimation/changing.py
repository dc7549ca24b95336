"""The pixels of a still camera that change with the livery."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from scipy import ndimage
from torch import Tensor

LEAST = 0.7
"""Least standard deviation of a pixel that changes, in levels of 255. Rounding makes up to 0.5.

Nearly black paint changes little: of a car with much of it, 1.0 misses twice as much as 0.7."""
ABOVE_NOISE = 4.0
"""The same, in standard deviations of the pixels that do not change."""
ABOVE_CODING = 1.5
"""The same, in standard deviations that a lossy file may have added."""
ABOVE_RESAMPLING = 0.2
"""The same where views were resampled, in differences from pixel to pixel of what all views show.

It is judged after a blur. Interpolation between pixels blurs each view in another way.
"""
BRIGHTNESS = (0.299, 0.587, 0.114)
"""Shares of red, green and blue in the brightness that a JPEG codes (ITU-R BT.601)."""

JUDGED = 256
"""The longer side of the pictures, at most, in which odd views are found."""
STILL = 3.0
"""Median distance from the median view, in levels, up to which a pixel stands still."""
OFF = 16.0
"""Distance from the median view, in levels, from which a pixel that should stand still does not."""
MOVED = 0.15
"""Share of such pixels from which a view is not of this camera, or not of this car."""


def odd_views(views: Tensor) -> list[int]:
    """The views that do not show what the others show: of another place, or another car.

    Args:
        views: uint8 or float [L, 3, h, w] in [0, 255], one of each livery.

    With fewer than four views nothing says which of them is odd, and none is.
    """
    if len(views) < 4:
        return []
    smaller = min(1.0, JUDGED / max(views.shape[-2:]))
    size = [max(1, round(side * smaller)) for side in views.shape[-2:]]
    views = torch.cat([F.interpolate(view[None].float(), size=size, mode="area") for view in views])
    middle = views.median(dim=0).values
    off = (views - middle).abs().amax(dim=1)  # [L, h, w]
    still = off.median(dim=0).values <= STILL
    if not still.any():
        return []
    share = (off[:, still] > OFF).float().mean(dim=1)
    # A livery's own glow on the floor is in every view; only a view far from the others is odd.
    usual = float(share.median())
    return [k for k, part in enumerate(share.tolist()) if part > max(MOVED, 4 * usual)]


def changing_pixels(views: Tensor, coded: float = 0.0, resampled: bool = False) -> Tensor:
    """Finds the pixels that change, bool [h, w]. Nothing is said of what they show.

    A lossy file spreads colour over a block of eight or sixteen pixels, so that a ring around the
    car changes with the livery. It codes brightness more finely. So there the brightness must
    change, by more than its error.

    Args:
        views: uint8 [L, 3, h, w], one of each livery.
        coded: standard deviation that lossy files, or a change of exposure, may have added to the
            brightness, in levels of 255; 0 without either.
        resampled: the views were moved, or brought to one size. Edges that all views show must not
            count as change then.

    The noise is that of the third of the pixels that change least: the car fills no picture.
    """
    if coded:
        shares = torch.tensor(BRIGHTNESS)[:, None, None]
        deviation = torch.stack([(shares * view).sum(dim=0) for view in views]).std(dim=0)
    else:
        deviation = torch.stack([views[:, c].float().std(dim=0) for c in range(3)]).amax(dim=0)
    ordered = deviation.flatten().sort().values
    noise = float(ordered[: max(1, len(ordered) // 3)].median())
    rough = (deviation > max(LEAST, ABOVE_NOISE * noise, ABOVE_CODING * coded)).numpy()
    if resampled:
        rough &= _changing_beside_edges(views).numpy()
    # Two pixels may be a thin part, a single one is noise.
    parts, _ = ndimage.label(rough, np.ones((3, 3)))
    sizes = np.bincount(parts.ravel())
    kept: np.ndarray = rough & (sizes[parts] > 1)
    return torch.from_numpy(kept)


def _changing_beside_edges(views: Tensor) -> Tensor:
    """The pixels that change more than the edges that all views show, if these move a little."""
    soft = torch.stack([_blurred(view.float()) for view in views])
    middle = soft.median(dim=0).values
    wide = F.pad(middle, (1, 1, 1, 1), mode="replicate")
    across, down = wide[:, 1:-1, 2:] - wide[:, 1:-1, :-2], wide[:, 2:, 1:-1] - wide[:, :-2, 1:-1]
    steep = F.max_pool2d(torch.hypot(across, down) / 2, 3, stride=1, padding=1)
    least = (ABOVE_RESAMPLING * steep).clamp_min(LEAST)
    changing: Tensor = (soft.std(dim=0) > least).any(dim=0)
    return changing


def _blurred(view: Tensor) -> Tensor:
    """A view [3, h, w], blurred by a binomial of 3 x 3 pixels."""
    line = view.new_tensor([0.25, 0.5, 0.25])
    kernel = (line[:, None] * line)[None, None]
    wide = F.pad(view[:, None], (1, 1, 1, 1), mode="replicate")
    return F.conv2d(wide, kernel)[:, 0]
