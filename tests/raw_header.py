"""Checkpoints with headers that this version would not write: broken ones and older ones."""

import json
from pathlib import Path
from typing import Any

import safetensors.torch
from safetensors import safe_open
from torch import Tensor

from uvtex.runs.header import KEY


def read_raw(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors and the header's JSON, unchecked."""
    with safe_open(path, framework="pt") as file:
        header: dict[str, Any] = json.loads(file.metadata()[KEY])
    return safetensors.torch.load_file(path), header


def save_raw(path: Path, tensors: dict[str, Tensor], header: dict[str, Any]) -> None:
    """Writes ``header`` as it is."""
    path.parent.mkdir(parents=True, exist_ok=True)
    safetensors.torch.save_file(tensors, path, metadata={"format": "pt", KEY: json.dumps(header)})
