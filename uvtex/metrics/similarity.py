"""SSIM and HaarPSI: images in [-1, 1] in, one number an image out.

SSIM is the mean of a map, so that it can also be taken over a mask. HaarPSI is not: its
similarities at three scales are weighted by wavelet coefficients and go through a logistic curve,
piq gives the final number alone, and its widest wavelet spans 16 pixels, so that hardly any of
them lies wholly inside a small mask. There is no HaarPSI inside the mask here.
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
        [B, H, W] in [-1, 1]; the five border pixels see reflected padding.
    """
    import_torchvision()
    from torchmetrics.functional.image import structural_similarity_index_measure

    # The images of a whole sweep are compared by this: no autocast, whatever the caller runs in.
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
    """SSIM at every pixel, averaged over channels, of what lies inside a mask alone: [B, H, W].

    The window's weights outside ``mask`` [B, 1, H, W] are 0, and those that are left are brought
    back to a sum of 1 (normalised convolution: Knutsson & Westin 1993). :func:`ssim_map` also sees
    what lies five pixels outside; where no such pixel is, nor the picture's border, the two agree.
    Values are to be read inside the mask.

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
    """SSIM's Gaussian window over [B, C, H, W], zeros around it."""
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
    # piq stops at NaN with a bare assertion.
    return value + 0 * (x + y).float().mean(dim=(1, 2, 3))
