"""Checkpoints: one safetensors file with a header, written atomically."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import safetensors.torch
import torch
from torch import Tensor, nn

from uvtex.config import TrainConfig
from uvtex.errors import CheckpointError
from uvtex.files import write_atomic
from uvtex.imaging.camera_bank import CameraBank
from uvtex.models import Predictor, Renderer, build
from uvtex.runs.header import Header, opened, parse_header


@dataclass(frozen=True)
class Checkpoint:
    """The networks of a checkpoint in evaluation mode, and its header."""

    path: Path
    header: Header
    predictor: Predictor
    renderer: Renderer

    @property
    def config(self) -> TrainConfig:
        """The settings that the networks were trained by."""
        return self.header.config


def save(path: Path, tensors: dict[str, Tensor], header: Header) -> None:
    """Writes ``tensors`` and ``header`` to ``path``; see :func:`uvtex.files.write_atomic`.

    Raises:
        UvtexError: the disk is full, or the folder cannot be written.
    """
    whole = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    write_atomic(path, safetensors.torch.save(whole, metadata=header.to_metadata()))


def read(path: Path) -> tuple[dict[str, Tensor], Header]:
    """The tensors (on the CPU) and the header of a checkpoint.

    Raises:
        CheckpointError: the file is missing, truncated, no checkpoint of uvtex, or newer than this
            version.
    """
    with opened(path, "pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        metadata = file.metadata()
    return tensors, parse_header(path, metadata)


def load(path: Path) -> Checkpoint:
    """The networks of a checkpoint, on the CPU, in evaluation mode.

    Raises:
        CheckpointError: as :func:`read`, or the weights do not fit the preset in the header.
    """
    tensors, header = read(path)
    config = header.config
    predictor, renderer = build(config, bank(path, tensors))
    for name, network in (("predictor", predictor), ("renderer", renderer)):
        fill(network, name, path, tensors, config.preset)
        network.eval().requires_grad_(False)
    return Checkpoint(path, header, predictor, renderer)


def fill(
    network: nn.Module, name: str, path: Path, tensors: dict[str, Tensor], preset: str
) -> None:
    """Loads those of ``tensors`` into ``network`` whose names begin with ``name``.

    Args:
        path: the checkpoint, for the message.

    Raises:
        CheckpointError: the weights do not fit the network.
    """
    try:
        network.load_state_dict(subset(tensors, name))
    except RuntimeError as error:
        first = str(error).splitlines()[-1].strip()
        raise CheckpointError(
            f"{path}: weights do not fit preset {preset!r} of this uvtex ({first}); train it anew, "
            "or use the version that it was made with"
        ) from None


def bank(path: Path, tensors: dict[str, Tensor]) -> CameraBank | None:
    """The camera bank in the ``tensors`` of checkpoint ``path``; None if it has none.

    Raises:
        CheckpointError: the bank has the format of another version of uvtex.
    """
    cameras = subset(tensors, "predictor.cameras")
    try:
        return CameraBank(**cameras) if cameras else None
    except TypeError:
        raise CheckpointError(
            f"{path}: another version of uvtex wrote what it knows of its cameras, and this one "
            "cannot read that; train it anew, or use the version that it was made with"
        ) from None


def subset(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The tensors whose names begin with ``prefix.``, by the rest of their names."""
    return {k[len(prefix) + 1 :]: v for k, v in tensors.items() if k.startswith(prefix + ".")}


def optimizer_tensors(name: str, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """The state of an optimiser as tensors named ``optimizer.NAME.INDEX.KEY``."""
    return {
        f"optimizer.{name}.{index}.{key}": torch.as_tensor(value)
        for index, state in optimizer.state_dict()["state"].items()
        for key, value in state.items()
    }


def restore_optimizer(
    optimizer: torch.optim.Optimizer, name: str, tensors: dict[str, Tensor]
) -> None:
    """Loads the state that :func:`optimizer_tensors` returned."""
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in subset(tensors, f"optimizer.{name}").items():
        index, field = key.split(".", 1)
        if field != "step":
            # A fused optimiser needs parameter and state in the same memory layout.
            value = torch.empty_like(parameters[int(index)]).copy_(value)
        state.setdefault(int(index), {})[field] = value
    optimizer.load_state_dict({**optimizer.state_dict(), "state": state})
