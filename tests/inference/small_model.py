"""A checkpoint of untrained networks, small enough to make in every test."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from tests.raw_header import save_raw
from uvtex.config import resolve
from uvtex.imaging.framing import Framing
from uvtex.models import build


def save_checkpoint(path: Path, framing: Framing | dict[str, Any] | None) -> Path:
    """Saves networks of 32 px with the given framing in the header; returns ``path``."""
    torch.manual_seed(0)
    config = resolve({"image_size": 32, "width": 0.1, "device": "cpu"})
    networks = zip(("predictor", "renderer"), build(config, None), strict=True)
    tensors = {f"{n}.{k}": v for n, net in networks for k, v in net.state_dict().items()}
    header: dict[str, Any] = {
        "config": config.model_dump(mode="json"),
        "epoch": 3,
        "metrics": {"ssim_uv": 0.25},
        "data_fingerprint": "",
    }
    if framing is not None:
        header["framing"] = framing if isinstance(framing, dict) else framing.model_dump()
    save_raw(path, tensors, header)
    return path
