"""Where photos fit their cameras best near a place, by Gauss-Newton steps.

Each block of pixels has a contrast and a brightness of its own, for each channel: another light or
another floor changes them from block to block, and an edge stays where it is. They are the best at
each place, so steps are taken for the place alone (variable projection: Golub and Pereyra 1973). A
block counts by how well it fits, so blocks that show other things than the camera count little.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from uvtex.imaging.blur import blurred
from uvtex.imaging.compose import linear_from_srgb, srgb_from_linear
from uvtex.imaging.placing.known import COARSE, FEWEST, MARGIN, Known, sampled, turned

BLUR = 1.0
"""Standard deviation of the blur of what is compared, in pixels: interpolation blurs by chance."""
STEPS = 10
"""Number of Gauss-Newton steps."""
TONE_STEPS = 4
"""Number of steps by which contrast and brightness are found at a place."""
TUKEY = 4.0
"""Difference, in standard deviations, from which on a pixel does not count."""
LEAST_NOISE = 0.004
"""Least standard deviation of a pixel, of 1: about a step of 8 bits."""
ENOUGH = 20
"""Least number of pixels of a block whose variance counts."""
ENOUGH_COARSE = 8
"""The same for coarse light, whose blocks have few pixels without paint."""
PLAIN = 0.01
"""Standard deviation of a block's pixels, of 1, up to which it is plain."""
BLOCKS = 16
"""Blocks along a side of the view: pixels of different blocks count as independent."""
BLURS = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0)
"""Standard deviations of a photo's blur that are tried, in pixels of the light."""
SHARP = 0.5
"""Blur up to which a photo counts as sharp, in pixels: other filters of resizing look like it."""
SATURATED = 0.97
"""Colour from which on a pixel does not tell how bright a photo is, of 1."""
BLACK = 0.01
"""Linear light up to which a block does not."""
LEAST_BLOCKS = 8
"""Number of blocks that tell it."""
SMALLEST_BLOCK = 8
"""Least side of a block that has a tone of its own, in pixels: a tone explains fewer by chance."""


class Fit:
    """Gauss-Newton steps on the pixels without paint.

    A move [B, n] is shift, scale and turn: right, down, log of the scale, turn. Subclasses have
    others.
    """

    stiffness = 0.0
    """Weight of the squares of the moves, beside the pixels."""

    def __init__(self, pictures: Tensor, valid: Tensor, cameras: Known) -> None:
        shown = blurred(pictures / 255, BLUR)
        step = pictures.shape[-1] / MARGIN / 4  # pixels to half a unit of the view
        wide = F.pad(shown, (1, 1, 1, 1), mode="replicate")
        across = (wide[..., 1:-1, 2:] - wide[..., 1:-1, :-2]) * step
        down = (wide[..., 2:, 1:-1] - wide[..., :-2, 1:-1]) * step
        whole = valid[:, None].to(shown.dtype)
        self._layers = torch.cat([shown, across, down, whole], dim=1)
        side = cameras.falling.shape[-1]
        row, column = cameras.pixel // side, cameras.pixel % side
        self._at = (torch.stack([column, row], dim=2).double() + 0.5) / side * 2 - 1
        self._reflected = srgb_from_linear(cameras.reflected)
        self._pixel = cameras.pixel
        self._known = self._known_with(0.0)
        self._counts = cameras.counts
        blocks = min(BLOCKS, side // SMALLEST_BLOCK)
        self._enough = ENOUGH_COARSE if side < COARSE else ENOUGH
        self._block, self._part = (
            row * parts // side * BLOCKS + column * parts // side for parts in (blocks, BLOCKS)
        )

    def refined(self, start: Tensor, steps: int = STEPS) -> tuple[Tensor, Tensor]:
        """The moves [B, n] where the pixels fit best near ``start``.

        And whether enough of the pixels are in the photo at each step, bool [B].
        """
        place, enough = start, self._counts.any(dim=1)
        weight = self._counts[..., None].to(start).expand(-1, -1, 3)
        for _ in range(steps):
            values, inside = self._at_place(place)
            rest = self._without_tone(values, weight * inside[..., None], self._known)
            miss, slopes = rest[..., 0], rest[..., 1:]
            enough = enough & (inside.sum(dim=1) >= FEWEST)
            weight = _weight(miss, self._deviation(miss, inside)) * inside[..., None]
            heavy = slopes * weight[..., None]
            normal = torch.einsum("bnci,bncj->bij", heavy, slopes)
            right = torch.einsum("bnci,bnc->bi", heavy, miss) + self.stiffness * place
            unit = torch.eye(place.shape[1], dtype=miss.dtype, device=miss.device)
            trace = normal.diagonal(dim1=1, dim2=2).sum(dim=1)[:, None, None]
            least = self.stiffness + 1e-7 * trace + 1e-12
            place = place - torch.linalg.solve(normal + least * unit, right)
        return place, enough

    def better(self, place: Tensor) -> Tensor:
        """By how many standard errors [B] ``place`` fits better than the photos' own places.

        The gain of a pixel is a ratio of sums over the blocks (Cochran 1977, 6.4).
        """
        one, sigma = self._losses(place, None)
        own, _ = self._losses(torch.zeros_like(place), sigma)
        gain, size = (self._summed(x, self._part) for x in (own - one, self._counts.to(one)))
        blocks = (size > 0).sum(dim=1).clamp_min(2)
        off = gain - size * (gain.sum(dim=1) / size.sum(dim=1).clamp_min(1))[:, None]
        deviation = (off.square().sum(dim=1) * blocks / (blocks - 1)).sqrt()
        return gain.sum(dim=1) / deviation.clamp_min(1e-12)

    def explained(self, place: Tensor) -> tuple[Tensor, Tensor]:
        """The share of the variance in the median block that is explained at ``place``, [B].

        And how much more than what is known the photos are blurred, one of BLURS or 0, [B]: the
        standard deviation with which what is known explains most. Blocks count that have enough
        pixels and are not plain. Both are 0 if there is none.
        """
        rest = [self._unexplained(place, self._known_with(width)) for width in BLURS]
        means = torch.stack([share.clamp(max=1).nanmean(dim=1) for share in rest], dim=1)
        best = means.nan_to_num(1.0).argmin(dim=1)
        medians = torch.stack([share.nanmedian(dim=1).values for share in rest], dim=1)
        share = 1 - medians.gather(1, best[:, None])[:, 0]
        widths = place.new_tensor([width if width > SHARP else 0.0 for width in BLURS])
        return share.nan_to_num(0.0), widths[best]

    def exposure(self, place: Tensor) -> tuple[Tensor, Tensor]:
        """How bright the photos are beside what is known, and the error of that, [B, 3] both.

        Both are natural logarithms, of linear light: the median over blocks of how their sums
        compare, and the standard deviation of a block, by its median. Blocks count that have enough
        pixels, none of them saturated, and are not black. The error is infinite if there are few.
        """
        values, inside = self._at_place(place)
        shown = values[..., 0]
        counts = inside & (shown < SATURATED).all(dim=2)
        both = torch.stack([shown, self._known], dim=3).clamp(0, 1)
        sums = self._summed(linear_from_srgb(both) * counts[..., None, None], self._part)
        count = self._summed(counts.to(shown), self._part)[..., None]
        seen, known = sums.unbind(dim=3)
        whole = self._summed(inside.to(shown), self._part)[..., None]
        fits = (count >= self._enough) & (count > 0.9 * whole) & (known > BLACK * count)
        ratio = torch.where(fits, (seen / known.clamp_min(1e-9)).clamp_min(1e-9).log(), torch.nan)
        middle = ratio.nanmedian(dim=1).values
        off = (ratio - middle[:, None]).abs().nanmedian(dim=1).values * 1.4826
        enough = fits.sum(dim=1) >= LEAST_BLOCKS
        return middle.nan_to_num(0.0), torch.where(enough, off, torch.inf).nan_to_num(torch.inf)

    def _unexplained(self, place: Tensor, known: Tensor) -> Tensor:
        """The share of each block's variance that ``known`` leaves, [B, blocks].

        NaN for blocks that have too few pixels or are plain.
        """
        miss, inside, shown = self._toned(place, known)
        count = self._summed(inside.to(miss))
        least = count.clamp_min(1)[..., None]
        mean = self._summed(shown * inside[..., None]) / least
        off = (shown - self._spread(mean)) * inside[..., None]
        whole, rest = (
            (self._summed(x.square() * inside[..., None]) / least).sum(dim=2) for x in (off, miss)
        )
        counts = (count >= self._enough) & (whole > 3 * PLAIN**2)
        return torch.where(counts, rest / whole.clamp_min(1e-12), torch.nan)

    def _losses(self, place: Tensor, sigma: Tensor | None) -> tuple[Tensor, Tensor]:
        """Tukey's loss of each pixel [B, N], and the standard deviations, ``sigma`` if given."""
        miss, inside, _ = self._toned(place, self._known)
        sigma = self._deviation(miss, inside) if sigma is None else sigma
        near = (1 - (miss / sigma / TUKEY).square()).clamp(0, 1)
        return ((1 - near**3) * inside[..., None]).sum(dim=2), sigma

    def _known_with(self, width: float) -> Tensor:
        """What is known of the pixels, [B, N, 3], blurred by so many pixels more."""
        softer = blurred(self._reflected, math.hypot(BLUR, width)).flatten(2)
        index = self._pixel[:, None].expand(-1, 3, -1)
        return softer.gather(2, index).transpose(1, 2).double()

    def _toned(self, place: Tensor, known: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Differences [B, N, 3] with the best tones, and the photos' pixels [B, N] and colours."""
        values, inside = self._at_place(place)
        weight = inside[..., None].to(values).expand(-1, -1, 3)
        for _ in range(TONE_STEPS):
            miss = self._without_tone(values[..., :1], weight, known)[..., 0]
            weight = _weight(miss, self._deviation(miss, inside)) * inside[..., None]
        return miss, inside, values[..., 0]

    def _at_place(self, place: Tensor) -> tuple[Tensor, Tensor]:
        """Colours and their slopes by the place [B, N, 3, 1 + n], and which pixels count [B, N]."""
        at, across, down = self._moved(place)
        layers = sampled(self._layers, at[:, None])[:, :, 0].transpose(1, 2).double()
        shown, rise, fall = layers[..., :9, None].tensor_split(3, dim=2)
        slopes = rise * across[:, :, None] + fall * down[:, :, None]
        inside = (layers[..., 9] > 0.99) & self._counts
        return torch.cat([shown, slopes], dim=3), inside

    def _moved(self, place: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Where the pixels lie at a place [B, N, 2], and how that changes by it, right and down.

        The changes are [B, N, n].
        """
        away = turned(self._at, place[:, 3:]) * place[:, 2, None, None].exp()
        x, y = away.unbind(dim=2)
        one, none = torch.ones_like(x), torch.zeros_like(x)
        across = torch.stack([one, none, x, -y], dim=2)
        down = torch.stack([none, one, y, x], dim=2)
        return place[:, None, :2] + away, across, down

    def _without_tone(self, values: Tensor, weight: Tensor, known: Tensor) -> Tensor:
        """``values`` [B, N, 3, n], less ``known`` in the contrast and brightness of a block."""
        heavy, known = weight[..., None], known[..., None]
        shares = [heavy, heavy * known, heavy * known**2, heavy * values, heavy * known * values]
        sums = self._summed(torch.cat(shares, dim=3))
        count, means = sums[..., :1].clamp_min(1e-12), sums[..., 1:]
        mean, square = (means[..., :2] / count).chunk(2, dim=3)
        here, both = (means[..., 2:] / count).chunk(2, dim=3)
        contrast = (both - mean * here) / ((square - mean**2).clamp_min(0) + LEAST_NOISE**2)
        tone = self._spread(torch.cat([contrast, here - contrast * mean], dim=3))
        contrast, brightness = tone.chunk(2, dim=3)
        return values - contrast * known - brightness

    def _deviation(self, miss: Tensor, inside: Tensor) -> Tensor:
        """Standard deviations of the pixels' blocks, as [B, N, 3], by the mean of the sizes."""
        count = self._summed(inside[..., None].to(miss)).clamp_min(1)
        mean = self._summed(miss.abs() * inside[..., None]) / count
        return self._spread(1.2533 * mean).clamp_min(LEAST_NOISE)

    def _summed(self, values: Tensor, parts: Tensor | None = None) -> Tensor:
        """The sums over each block's pixels, [B, blocks, ...], of values [B, N, ...].

        ``parts`` [B, N] are other blocks than those that have tones of their own.
        """
        index = _like(self._block if parts is None else parts, values)
        sums = values.new_zeros(values.shape[0], BLOCKS**2, *values.shape[2:])
        return sums.scatter_add(1, index, values)

    def _spread(self, values: Tensor) -> Tensor:
        """The values [B, N, ...] of the pixels' blocks, of values [B, blocks, ...]."""
        return values.gather(1, _like(self._block, values))


def _like(blocks: Tensor, values: Tensor) -> Tensor:
    """The blocks of the pixels [B, N], as an index of [B, N, ...] like ``values``."""
    more = values.shape[2:]
    return blocks.reshape(*blocks.shape, *(1 for _ in more)).expand(-1, -1, *more)


def _weight(miss: Tensor, sigma: Tensor) -> Tensor:
    """Tukey's weights of differences [B, N, 3], over the variances."""
    return (1 - (miss / sigma / TUKEY).square()).clamp_min(0).square() / sigma.square()
