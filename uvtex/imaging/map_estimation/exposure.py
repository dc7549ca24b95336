"""How the exposure differs between the shots of a still camera.

A camera or a game that chooses its exposure by the picture makes a white car's surroundings darker
than a black one's. Exposure and white balance multiply each channel of the linear light by one
number. It is found from the pixels that change least between the liveries: backdrop, tyres, glass.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from uvtex.imaging.compose import linear_from_srgb, srgb_from_linear

COMPARED = 128
"""The longer side of the pictures, at most, at which they are compared."""
DARKEST, BRIGHTEST = 0.05, 0.9
"""Linear light between which 8 bits tell a ratio, and nothing is clipped."""
ERROR = 0.6
"""Standard deviation that levelling adds to a view's brightness, in levels of 255: each channel is
rounded twice, and an exposure is known to half a percent where the backdrop is flat."""
CLIPPED = 254
"""Level of 255 from which a channel is clipped, and stays so."""
LEAST = 0.01
"""Least difference of exposure that counts, as a logarithm."""
LEAST_VARIED = 0.25
"""Share of the pixels that count as still. The car may fill nearly three quarters of a picture."""
MOSTLY = 0.4
"""Least share of the pixels of each half of a picture that become more alike. Paint does by chance,
so that it is about a half where all is paint, and none where light moves."""
ROUNDED = 0.01
"""Ratio, as a logarithm, that rounding to 8 bits may change: a quarter of a level at DARKEST."""
TAIL = 0.05
"""Distance from the median up to which a ratio belongs to the mean."""
ROUNDS = 4
"""The still pixels are chosen anew so many times."""
FEWEST = 64
"""Number of still pixels below which nothing is said of the exposure."""


@dataclass(frozen=True)
class Still:
    """What does not change in the pictures of a camera."""

    logarithm: Tensor  # float [3, h, w] of the linear light; NaN where it is not known
    pixels: Tensor  # bool [h, w]

    def exposure_of(self, view: Tensor) -> Tensor:
        """Logarithm of the exposure of a view uint8 [3, H, W] over the usual one, float [3].

        Zeros where the difference is below LEAST, or too few pixels can be compared.
        """
        off = (_logarithm(view, self.pixels.shape) - self.logarithm)[:, self.pixels]
        if int(torch.isfinite(off).sum(dim=1).min()) < FEWEST:
            return torch.zeros(3)
        found = _middle(off)
        return found if found.abs().max() >= LEAST else torch.zeros(3)


def exposures(views: Tensor) -> tuple[Tensor, Still | None]:
    """Logarithms of the exposures of views over the middle one, float [L, 3], and what is still.

    A view's exposure is the mean ratio over the pixels that vary least: LEAST_VARIED of them, and
    all that vary by no more than rounding does. They are chosen anew in each round (as in least
    trimmed squares: Rousseeuw 1984).

    Args:
        views: uint8 [L, 3, h, w], one of each livery.

    Returns:
        zeros and None where the exposures differ by less than LEAST, explain less than half of the
        variance of the still pixels, or make one side of the picture worse, as light that moves
        does.
    """
    share = min(1.0, COMPARED / max(views.shape[-2:]))
    size = [max(1, round(side * share)) for side in views.shape[-2:]]
    logarithm = torch.stack([_logarithm(view, size) for view in views])
    found = torch.zeros(len(views), 3)
    before = torch.empty(0)
    for turn in range(ROUNDS):
        level = logarithm - found[..., None, None]
        middle = level.nanmedian(dim=0).values
        off = level - middle
        spread = off.abs().nanmedian(dim=0).values.amax(dim=0)  # NaN where a channel is not known
        pixels = spread <= spread.nanquantile(LEAST_VARIED).clamp_min(ROUNDED)
        if int(pixels.sum()) < FEWEST:
            return torch.zeros_like(found), None
        if not turn:
            before = spread
        step = _middle(off[:, :, pixels])
        found = found + step - step.median(dim=0).values
    better = spread[pixels].square().mean() < before[pixels].square().mean() / 2
    if found.abs().max() < LEAST or not better or not _everywhere(spread < before, spread):
        return torch.zeros_like(found), None
    near = found.abs().amax(dim=1, keepdim=True) < LEAST
    return torch.where(near, 0.0, found), Still(middle, pixels)


def levelled(view: Tensor, exposure: Tensor) -> Tensor:
    """A view uint8 [3, h, w] as at the usual exposure: uint8 likewise. Clipped channels stay so.

    Args:
        exposure: logarithm of its exposure over the usual one, float [3].
    """
    if not exposure.any():
        return view
    level = torch.arange(256)
    light = linear_from_srgb(level / 255) / exposure.exp()[:, None]
    table = (srgb_from_linear(light) * 255).round().to(torch.uint8)
    table[:, CLIPPED:] = 255
    return torch.stack([row[channel.long()] for row, channel in zip(table, view, strict=True)])


def _everywhere(better: Tensor, known: Tensor) -> bool:
    """Whether in each half of the picture at least MOSTLY of the known pixels are better."""
    height, width = better.shape
    middle = [(slice(height // 2), slice(None)), (slice(height // 2, None), slice(None))]
    middle += [(slice(None), slice(width // 2)), (slice(None), slice(width // 2, None))]
    halves = [(better[half], torch.isfinite(known[half])) for half in middle]
    return all(int(yes.sum()) >= MOSTLY * int(there.sum()) for yes, there in halves)


def _middle(off: Tensor) -> Tensor:
    """The mean of the last dimension within TAIL of its median. Levels are whole numbers, and so
    is a median of theirs."""
    median = off.nanmedian(dim=-1, keepdim=True).values
    near = torch.where((off - median).abs() < TAIL, off, torch.nan)
    return near.nanmean(dim=-1).nan_to_num(0.0)


def _logarithm(view: Tensor, size: Sequence[int]) -> Tensor:
    """That of the linear light of a view uint8 [3, h, w] at a smaller size, or its own.

    NaN where 8 bits do not tell a ratio.
    """
    light = linear_from_srgb(view[None].float() / 255)
    light = F.interpolate(light, size=tuple(size), mode="area")[0]
    known = (light > DARKEST) & (light < BRIGHTEST)
    return torch.where(known, light.clamp_min(DARKEST).log(), torch.nan)
