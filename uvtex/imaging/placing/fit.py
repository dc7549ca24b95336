"""Where photos fit their cameras best near a place, by Gauss-Newton steps."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from uvtex.imaging.compose import srgb_from_linear
from uvtex.imaging.placing.known import FEWEST, MARGIN, Known, sampled, turned

BLUR = 1.0
"""Standard deviation of the blur of what is compared, in pixels: interpolation blurs by chance."""
STEPS = 10
"""Number of Gauss-Newton steps."""
TONE_STEPS = 5
"""Number of steps by which contrast and brightness are found at a place."""
TUKEY = 4.0
"""Difference, in standard deviations, from which on a pixel does not count."""
LEAST_NOISE = 0.004
"""Least standard deviation of a pixel, of 1: about a step of 8 bits."""
BLOCK = 1 / 16
"""Side of the blocks of pixels that count as independent, in sides of the view."""


class Fit:
    """Gauss-Newton steps on the pixels without paint."""

    def __init__(self, pictures: Tensor, valid: Tensor, cameras: Known) -> None:
        shown = _blurred(pictures / 255)
        step = pictures.shape[-1] / MARGIN / 4  # pixels to half a unit of the view
        wide = F.pad(shown, (1, 1, 1, 1), mode="replicate")
        across = (wide[..., 1:-1, 2:] - wide[..., 1:-1, :-2]) * step
        down = (wide[..., 2:, 1:-1] - wide[..., :-2, 1:-1]) * step
        whole = valid[:, None].to(shown.dtype)
        self._layers = torch.cat([shown, across, down, whole], dim=1)
        side = cameras.falling.shape[-1]
        row, column = cameras.pixel // side, cameras.pixel % side
        self._at = (torch.stack([column, row], dim=2).double() + 0.5) / side * 2 - 1
        known = _blurred(srgb_from_linear(cameras.reflected)).flatten(2)
        index = cameras.pixel[:, None].expand(-1, 3, -1)
        self._known = known.gather(2, index).transpose(1, 2).double()
        self._counts = cameras.counts
        blocks = round(1 / BLOCK)
        self._block = row * blocks // side * blocks + column * blocks // side
        self._blocks = blocks * blocks

    def refined(self, start: Tensor) -> tuple[Tensor, Tensor]:
        """The moves [B, 4] where the pixels fit best near ``start``.

        And whether enough of the pixels are in the photo at each step, bool [B].
        """
        place, tone = start, self._first_tone()
        enough = self._counts.any(dim=1)
        for _ in range(STEPS):
            miss, slopes, inside = self._misses(place, tone)
            enough = enough & (inside.sum(dim=1) >= FEWEST)
            weight = _weight(miss, _deviation(miss, inside)) * inside[..., None]
            each = torch.eye(3, dtype=miss.dtype, device=miss.device).expand(*miss.shape[:2], 3, 3)
            full = torch.cat([slopes, -each * self._known[..., None, :], -each], dim=3)
            heavy = full * weight[..., None]
            normal = torch.einsum("bnci,bncj->bij", heavy, full)
            right = torch.einsum("bnci,bnc->bi", heavy, miss)
            unit = torch.eye(10, dtype=miss.dtype, device=miss.device)
            trace = normal.diagonal(dim1=1, dim2=2).sum(dim=1)[:, None, None]
            step = torch.linalg.solve(normal + (1e-7 * trace + 1e-12) * unit, right)
            place, tone = place - step[:, :4], tone - step[:, 4:].reshape(-1, 2, 3)
        return place, enough

    def better(self, place: Tensor) -> Tensor:
        """By how many standard errors [B] ``place`` fits better than the photos' own places."""
        one, sigma = self._losses(place, None)
        own, _ = self._losses(torch.zeros_like(place), sigma)
        sums = torch.zeros(place.shape[0], self._blocks, dtype=one.dtype, device=one.device)
        sums = sums.scatter_add(1, self._block, own - one)
        return sums.sum(dim=1) / sums.square().sum(dim=1).sqrt().clamp_min(1e-12)

    def _losses(self, place: Tensor, sigma: Tensor | None) -> tuple[Tensor, Tensor]:
        """Tukey's loss of each pixel [B, N], and the standard deviations, ``sigma`` if given."""
        tone = self._first_tone()
        for _ in range(TONE_STEPS):
            miss, _, inside = self._misses(place, tone)
            weight = _weight(miss, _deviation(miss, inside)) * inside[..., None]
            tone = self._tone(miss + tone[:, :1] * self._known + tone[:, 1:], weight)
        miss, _, inside = self._misses(place, tone)
        sigma = _deviation(miss, inside) if sigma is None else sigma
        near = (1 - (miss / sigma / TUKEY).square()).clamp(0, 1)
        return ((1 - near**3) * inside[..., None]).sum(dim=2), sigma

    def _first_tone(self) -> Tensor:
        """Contrast 1 and brightness 0 of each channel: [B, 2, 3]."""
        one = self._known.new_tensor([[1.0], [0.0]])
        return one.expand(self._known.shape[0], 2, 3)

    def _tone(self, shown: Tensor, weight: Tensor) -> Tensor:
        """Contrast and brightness with which the known pixels explain ``shown`` [B, N, 3] best."""
        total = weight.sum(dim=1, keepdim=True).clamp_min(1e-12)
        here, there = ((x * weight).sum(dim=1, keepdim=True) / total for x in (self._known, shown))
        off = (self._known - here) * weight
        both = (off * (shown - there)).sum(dim=1, keepdim=True)
        contrast = both / (off * (self._known - here)).sum(dim=1, keepdim=True).clamp_min(1e-12)
        return torch.cat([contrast, there - contrast * here], dim=1)

    def _misses(self, place: Tensor, tone: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Differences [B, N, 3], their slopes by the place [B, N, 3, 4], and the photos' pixels."""
        away = turned(self._at, place[:, 3:]) * place[:, 2, None, None].exp()
        at = place[:, None, :2] + away
        layers = sampled(self._layers, at[:, None])[:, :, 0].transpose(1, 2).double()
        shown, across, down = layers[..., :3], layers[..., 3:6], layers[..., 6:9]
        x, y = away[..., :1], away[..., 1:]
        grows, turns = across * x + down * y, down * x - across * y
        miss = shown - tone[:, :1] * self._known - tone[:, 1:]
        inside = (layers[..., 9] > 0.99) & self._counts
        return miss, torch.stack([across, down, grows, turns], dim=3), inside


def _weight(miss: Tensor, sigma: Tensor) -> Tensor:
    """Tukey's weights of differences [B, N, 3], over the variances."""
    return (1 - (miss / sigma / TUKEY).square()).clamp_min(0).square() / sigma.square()


def _deviation(miss: Tensor, inside: Tensor) -> Tensor:
    """Standard deviations [B, 1, 3] of [B, N, 3], by the median, which outliers do not move."""
    size = torch.where(inside[..., None], miss.abs(), torch.nan)
    middle = size.nanmedian(dim=1, keepdim=True).values * 1.4826
    return middle.nan_to_num(1.0).clamp_min(LEAST_NOISE)


def _blurred(picture: Tensor) -> Tensor:
    """Pictures [B, C, h, w], blurred by a Gaussian of BLUR pixels."""
    reach = round(4 * BLUR)
    kernel = torch.exp(-0.5 * (torch.arange(-reach, reach + 1) / BLUR).square())
    kernel = (kernel / kernel.sum()).to(picture)
    flat = picture.flatten(0, 1)[:, None]
    flat = F.pad(flat, (reach, reach, reach, reach), mode="replicate")
    flat = F.conv2d(F.conv2d(flat, kernel[None, None, None]), kernel[None, None, :, None])
    return flat.reshape(picture.shape)
