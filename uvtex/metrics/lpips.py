"""LPIPS: the network of the ``lpips`` package on a real ImageNet backbone.

Without the backbone LPIPS is absent: random weights would give another metric.
"""

from __future__ import annotations

import functools
import warnings
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from uvtex.errors import BackboneMissing
from uvtex.files import sha256_of
from uvtex.metric_catalogue import DEFINITIONS
from uvtex.metrics import similarity
from uvtex.metrics.torchvision_import import import_torchvision
from uvtex.typed.paths import why_missing


class LPIPS:
    """The distance of the ``lpips`` package on a given backbone: [B], 0 for equal pictures."""

    def __init__(self, backbone: Path, device: torch.device) -> None:
        self.version = f"{DEFINITIONS['lpips']}, backbone sha256 {sha256_of(backbone)[:8]}"
        self._net = _lpips_network(backbone).to(device)

    def __call__(self, x: Tensor, y: Tensor) -> Tensor:
        return self.both(x, y, torch.ones_like(x[:, :1]))[0]

    @torch.no_grad()
    def both(self, x: Tensor, y: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """The distance, and the mean of its map over ``mask`` [B, 1, H, W]: [B] and [B].

        The map is that of the package's option ``spatial``: the distances of each layer are resized
        to the picture and added up. The features near a mask's border depend on pixels far outside
        it. NaN for an empty mask.
        """
        with torch.autocast(x.device.type, enabled=False):
            layers = self._layer_distances(x.float(), y.float())
            value = sum(layer.mean(dim=(2, 3)) for layer in layers)
            full = [
                F.interpolate(layer, x.shape[2:], mode="bilinear", align_corners=False)
                for layer in layers
            ]
        assert isinstance(value, Tensor)  # AlexNet has layers
        return value.flatten(), similarity.within(torch.stack(full).sum(dim=0)[:, 0], mask)

    def _layer_distances(self, x: Tensor, y: Tensor) -> list[Tensor]:
        """The distance at each place of each layer, [B, 1, h, w] (Zhang et al. 2018, equation 1).

        These are the package's own steps. Its forward pass does not return the maps.
        """
        from lpips import normalize_tensor

        scale, net, heads = (self._net.get_submodule(n) for n in ("scaling_layer", "net", "lins"))
        pairs = zip(net(scale(x)), net(scale(y)), heads.children(), strict=True)
        return [head((normalize_tensor(a) - normalize_tensor(b)) ** 2) for a, b, head in pairs]


@functools.cache
def find_backbone(given: str | None) -> Path:
    """The file with AlexNet's ImageNet weights: ``given``, torch's hub cache, or a download.

    Raises:
        BackboneMissing: none of them is available. The message says where to put the file.
    """
    if given is not None:
        if Path(given).is_file():
            return Path(given)
        raise BackboneMissing(
            f"LPIPS backbone {given}: no such file"
            + (why_missing(given) or "; give torchvision's AlexNet ImageNet weights")
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
    """Checks that the backbone is there and loads; returns its file.

    Raises:
        BackboneMissing: the file is missing, or does not hold the weights of AlexNet.
    """
    backbone = find_backbone(given)
    _lpips_network(backbone)
    return backbone


def load_lpips(given: str | None, device: torch.device) -> LPIPS | None:
    """LPIPS, or None if no backbone is available. A file that was ``given`` must be valid.

    Raises:
        BackboneMissing: ``given`` is missing, or does not hold the weights of AlexNet.
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
