"""SSIM and HaarPSI: images in [-1, 1] in, one number per image out.

SSIM is the mean of a map, so it can also be averaged over a mask. HaarPSI is no mean of a map: its
similarities at three scales are weighted by wavelet coefficients and pass through a logistic curve,
and piq returns the final number alone. Its widest wavelet spans 16 pixels, so hardly any lies
inside a small mask. That is why there is no HaarPSI inside the mask.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from uvtex.metrics.torchvision_import import import_torchvision

WINDOW, SIGMA = 11, 1.5
K1, K2, RANGE = 0.01, 0.03, 2.0
C1, C2 = (K1 * RANGE) ** 2, (K2 * RANGE) ** 2


def ssim_map(x: Tensor, y: Tensor) -> Tensor:
    """SSIM at every pixel (Wang et al. 2004, equation 13), averaged over channels.

    Args:
        x, y: [B, C, H, W] in [-1, 1], H and W at least 11.

    Returns:
        [B, H, W] in [-1, 1]; windows of the five border pixels see reflected padding.
    """
    import_torchvision()
    from torchmetrics.functional.image import structural_similarity_index_measure

    # All trials of a sweep are compared by this figure, so it is never computed under autocast.
    with torch.autocast(x.device.type, enabled=False):
        result = structural_similarity_index_measure(
            x.float(),
            y.float(),
            gaussian_kernel=True,
            sigma=SIGMA,
            kernel_size=WINDOW,
            data_range=RANGE,
            k1=K1,
            k2=K2,
            reduction="none",
            return_full_image=True,
        )
    full: Tensor = result[1]
    return full.mean(dim=1)


def cropped(similarity: Tensor) -> Tensor:
    """Mean of a map [B, H, W] less its border of five, as in the paper: [B]."""
    return similarity[:, 5:-5, 5:-5].mean(dim=(1, 2))


def within(values: Tensor, mask: Tensor) -> Tensor:
    """Mean of a map [B, H, W] weighted by ``mask`` [B or 1, 1, H, W]: [B]; NaN for an empty one."""
    weight = mask[:, 0].float()
    return (values * weight).sum(dim=(1, 2)) / weight.sum(dim=(1, 2))


def ssim_alone_map(x: Tensor, y: Tensor, mask: Tensor) -> Tensor:
    """SSIM at every pixel inside a mask, from pixels inside it alone: [B, H, W], mean of channels.

    The weights of the window are 0 outside ``mask`` [B, 1, H, W], and the others are scaled to a
    sum of 1 (normalised convolution: Knutsson & Westin 1993). :func:`ssim_map` also uses pixels up
    to five pixels outside the mask. The two agree where the whole window lies inside the mask and
    the picture. Values outside the mask mean nothing.

    Args:
        x, y: [B, C, H, W] in [-1, 1].
    """
    with torch.autocast(x.device.type, enabled=False):
        x, y, weight = x.float(), y.float(), mask.float()
        share = _blurred(weight).clamp_min(1e-12)
        products = (x, y, x * x, y * y, x * y)
        mx, my, xx, yy, xy = (_blurred(z * weight) / share for z in products)
        luminance = (2 * mx * my + C1) / (mx * mx + my * my + C1)
        structure = (2 * (xy - mx * my) + C2) / (xx - mx * mx + yy - my * my + C2)
        return (luminance * structure).mean(dim=1)


def _blurred(x: Tensor) -> Tensor:
    """[B, C, H, W] convolved with the Gaussian window of SSIM, zero-padded."""
    at = torch.arange(-(WINDOW // 2), WINDOW // 2 + 1, device=x.device)
    line = torch.exp(-0.5 * (at / SIGMA) ** 2)
    line = (line / line.sum()).to(x.dtype)
    flat = x.flatten(0, 1)[:, None]
    flat = F.conv2d(flat, line.view(1, 1, 1, -1), padding=(0, WINDOW // 2))
    return F.conv2d(flat, line.view(1, 1, -1, 1), padding=(WINDOW // 2, 0)).view(x.shape)


def haarpsi(x: Tensor, y: Tensor) -> Tensor:
    """Haar perceptual similarity index (Reisenhofer et al. 2018): [B] in [0, 1], 1 is equal.

    Args:
        x, y: [B, 3, H, W] in [-1, 1], H and W at least 32; NaN gives NaN.
    """
    import_torchvision()
    import piq

    with torch.autocast(x.device.type, enabled=False):
        pictures = [((z.float() + 1) / 2).clamp(0, 1).nan_to_num() for z in (x, y)]
        value: Tensor = piq.haarpsi(*pictures, data_range=1.0, reduction="none")
    # piq fails at NaN with a bare assertion, so NaN is put back afterwards.
    return value + 0 * (x + y).float().mean(dim=(1, 2, 3))
