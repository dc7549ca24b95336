"""Networks and files as the original makes them."""

import pathlib
from pathlib import Path
from typing import Any

import numpy as np
import torch
from click.testing import CliRunner, Result
from torch import Tensor, nn

from uvtex.cli import main


class FromWindows:
    """Pickles like a Windows path, which can be created only on Windows."""

    def __reduce__(self) -> tuple[Any, ...]:
        return pathlib.WindowsPath, ("C:\\", "liveries", "poc results")


class TheirUNet(nn.Module):
    """The same network with other names: each layer is an attribute."""

    def __init__(self, bias: bool = True) -> None:
        super().__init__()
        c = [3, 64, 128, 256, 512]
        for i in range(4):
            setattr(self, f"enc{i}", nn.Conv2d(c[i], c[i + 1], 4, 2, 1, bias=bias or i == 0))
            if i:
                setattr(self, f"enc{i}_bn", nn.BatchNorm2d(c[i + 1]))
        for i, wide in ((4, 512), (3, 512), (2, 256), (1, 128)):
            setattr(
                self, f"dec{i}", nn.ConvTranspose2d(wide, c[i - 1], 4, 2, 1, bias=bias or i < 2)
            )
            if i > 1:
                setattr(self, f"dec{i}_bn", nn.BatchNorm2d(c[i - 1]))

    def forward(self, x: Tensor) -> Tensor:
        skips = []
        for i in range(4):
            x = getattr(self, f"enc{i}")(x)
            x = (getattr(self, f"enc{i}_bn")(x) if i else x).relu()
            skips.append(x)
        skips.pop()
        for i in (4, 3, 2, 1):
            x = getattr(self, f"dec{i}")(x)
            x = getattr(self, f"dec{i}_bn")(x).relu() if i > 1 else x.tanh()
            x = torch.cat([x, skips.pop()], 1) if skips else x
        return x


def scramble(network: nn.Module) -> nn.Module:
    """Fills weights and statistics with random values, and counters with 17."""
    generator = torch.Generator().manual_seed(5)
    for value in network.state_dict().values():
        if value.is_floating_point():
            value.copy_(torch.rand(value.shape, generator=generator) * 0.2 + 0.05)
        else:
            value.fill_(17)
    return network.eval()


def content(networks: tuple[nn.Module, nn.Module], **changes: Any) -> dict[str, Any]:
    args = {"image_size": 32, "val_split": 0.34, "epochs": 40, "w_uv": 0.45, "w_uv_end": 0.25}
    return {
        "uv": networks[0].state_dict(),
        "renderer": networks[1].state_dict(),
        "metrics": {"total": 0.285, "ssim_uv": np.float64(0.257), "lpips_view": np.float32(0.5)},
        "weights": {"uv": 0.25, "cycle": 0.3},
        "epoch": 39,
        "args": {**args, "out": FromWindows(), "data": Path("/data/set"), "w_cross_end": None},
        **changes,
    }


def call(*args: Any) -> Result:
    return CliRunner().invoke(main, [str(arg) for arg in args])
