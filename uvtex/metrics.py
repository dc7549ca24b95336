"""SSIM, HaarPSI and LPIPS: images in [-1, 1] in, one number an image out.

SSIM and LPIPS are means of a map, so that they can also be taken over a mask. HaarPSI is not: its
similarities at three scales are weighted by wavelet coefficients and go through a logistic curve,
piq gives the final number alone, and its widest wavelet spans 16 pixels, so that hardly any of
them lies wholly inside a small mask. There is no HaarPSI inside the mask here.
"""

from __future__ import annotations

import functools
import hashlib
import warnings
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from uvtex.errors import BackboneMissing
from uvtex.torchvision_ops import import_torchvision

VERSIONS = {
    "ssim": "torchmetrics SSIM on [-1, 1], Gaussian 11 sigma 1.5, K 0.01 0.03, data range 2",
    "haarpsi": "piq HaarPSI on [0, 1], three scales, c 30, alpha 4.2",
    "lpips": "lpips 0.1 AlexNet on [-1, 1]",
    "alone": "that SSIM, its windows' weights outside the mask 0, a window's weights 1 in all",
    "inside": "means of the SSIM and LPIPS maps weighted by the mask, the view's own outside",
    "seam": "energy of Liu et al. 2017 beyond the truth's, by that of random pairs, floor 8/255",
    "bleed": "change of the texture by that of the background, now plain; depths 0, 2, 4, 8 pixels",
}
"""What each family of metrics is; stored beside every figure."""


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


def ssim(x: Tensor, y: Tensor) -> Tensor:
    """Mean of :func:`ssim_map` less its border of five, as in the paper: [B]."""
    return cropped(ssim_map(x, y))


def cropped(similarity: Tensor) -> Tensor:
    """Mean of a map [B, H, W] less its border of five: [B]."""
    return similarity[:, 5:-5, 5:-5].mean(dim=(1, 2))


def ssim_within(x: Tensor, y: Tensor, mask: Tensor) -> Tensor:
    """Mean of :func:`ssim_map` over ``mask`` [B, 1, H, W]: [B]; NaN for an empty mask."""
    return within(ssim_map(x, y), mask)


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


class LPIPS:
    """The ``lpips`` package's distance, on a given ImageNet backbone: [B], 0 is equal."""

    def __init__(self, backbone: Path, device: torch.device) -> None:
        self.version = f"{VERSIONS['lpips']}, backbone sha256 {_sha256(backbone)[:8]}"
        self._net = _lpips_network(backbone).to(device)
        self._layers: list[Tensor] = []
        for head in self._net.get_submodule("lins").children():
            head.register_forward_hook(lambda module, args, out: self._layers.append(out))

    def __call__(self, x: Tensor, y: Tensor) -> Tensor:
        return self.both(x, y, torch.ones_like(x[:, :1]))[0]

    @torch.no_grad()
    def both(self, x: Tensor, y: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """The distance, and the mean of its map over ``mask`` [B, 1, H, W]: [B] and [B].

        The map is the package's ``spatial`` one: each layer's distances brought to the picture's
        size and added up. Features see well beyond a mask's border. NaN for an empty mask.
        """
        self._layers.clear()
        with torch.autocast(x.device.type, enabled=False):
            value: Tensor = self._net(x.float(), y.float())
            full = [
                F.interpolate(layer, x.shape[2:], mode="bilinear", align_corners=False)
                for layer in self._layers
            ]
        return value.flatten(), within(torch.stack(full).sum(dim=0)[:, 0], mask)


@functools.cache
def find_backbone(given: str | None) -> Path:
    """The file with AlexNet's ImageNet weights: ``given``, torch's hub cache, or a download.

    Raises:
        BackboneMissing: none of them can be had; says where the file goes.
    """
    if given is not None:
        if Path(given).is_file():
            return Path(given)
        raise BackboneMissing(
            f"LPIPS backbone {given}: no such file; give torchvision's AlexNet ImageNet weights"
        )
    import_torchvision()
    from torchvision.models import AlexNet_Weights

    url = AlexNet_Weights.IMAGENET1K_V1.url
    cached: Path = Path(torch.hub.get_dir()) / "checkpoints" / url.rsplit("/", 1)[-1]
    if not cached.is_file():
        try:
            cached.parent.mkdir(parents=True, exist_ok=True)
            torch.hub.download_url_to_file(
                url, str(cached), hash_prefix=cached.stem.rsplit("-", 1)[-1], progress=False
            )
        except (OSError, RuntimeError) as error:
            raise BackboneMissing(
                f"LPIPS needs AlexNet's ImageNet weights ({cached.name}) and they could not be "
                f"downloaded ({error}); put that file at {cached}, or name it by "
                "`lpips_backbone: FILE` in the settings (in a study: below `train`)"
            ) from None
    return cached


def require_lpips(given: str | None) -> Path:
    """Checks that LPIPS can be computed: the backbone is there and loads; returns its file.

    Raises:
        BackboneMissing: it is not there, or it is not AlexNet's weights.
    """
    backbone = find_backbone(given)
    _lpips_network(backbone)
    return backbone


def load_lpips(given: str | None, device: torch.device) -> LPIPS | None:
    """LPIPS, or None where its backbone cannot be had; a file that was given must be good.

    Raises:
        BackboneMissing: ``given`` is missing or is not AlexNet's weights.
    """
    try:
        return LPIPS(find_backbone(given), device)
    except BackboneMissing:
        if given is not None:
            raise
        return None


def _lpips_network(backbone: Path) -> torch.nn.Module:
    import_torchvision()
    import lpips

    with warnings.catch_warnings():
        # lpips asks torchvision for AlexNet by arguments that torchvision renamed in 0.13.
        warnings.filterwarnings("ignore", "The parameter 'pretrained'", UserWarning)
        warnings.filterwarnings("ignore", "Arguments other than a weight enum", UserWarning)
        # pnet_rand builds the architecture without a download; its weights are replaced below.
        network: torch.nn.Module = lpips.LPIPS(
            net="alex", version="0.1", pnet_rand=True, verbose=False
        )
    try:
        state = torch.load(backbone, map_location="cpu", weights_only=True)
        slices: torch.nn.Module = network.get_submodule("net")
        layers = {key.split(".", 1)[1]: key for key in slices.state_dict()}
        chosen = {
            layers[k.removeprefix("features.")]: v
            for k, v in state.items()
            if k.startswith("features.")
        }
        slices.load_state_dict(chosen, strict=True)
    except Exception as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise BackboneMissing(
            f"LPIPS backbone {backbone}: not torchvision's AlexNet weights: {reason}"
        ) from None
    return network.eval().requires_grad_(False)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
