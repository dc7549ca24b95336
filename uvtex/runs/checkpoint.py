"""Checkpoints: one safetensors file, settings and metrics in its header, written atomically."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from uvtex.config import TrainConfig, validate
from uvtex.errors import CheckpointError, ConfigError
from uvtex.files import write_atomic
from uvtex.imaging.camera_bank import CameraBank
from uvtex.models import Predictor, Renderer, build

FORMAT = 1


@dataclass(frozen=True)
class Checkpoint:
    """Networks in evaluation mode, and where they come from."""

    path: Path
    config: TrainConfig
    predictor: Predictor
    renderer: Renderer
    epoch: int
    metrics: dict[str, float]
    data_fingerprint: str


def save(path: Path, tensors: dict[str, Tensor], header: dict[str, Any]) -> None:
    """Writes ``tensors`` and the JSON ``header`` to ``path``; see :func:`uvtex.files.write_atomic`.

    Raises:
        UvtexError: the disk is full or the folder cannot be written.
    """
    whole = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    metadata = {"format": "pt", "uvtex": json.dumps({"version": FORMAT, **header})}
    write_atomic(path, safetensors.torch.save(whole, metadata=metadata))


def read(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors (on the CPU) and header of a checkpoint.

    Raises:
        CheckpointError: missing, truncated, not ours, or from a newer version.
    """
    with _opened(path) as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        metadata = file.metadata()
    return tensors, _header(path, metadata)


def read_header(path: Path) -> dict[str, Any]:
    """The header alone, in no time however big the file is; raises as :func:`read` does."""
    with _opened(path) as file:
        metadata = file.metadata()
    return _header(path, metadata)


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    try:
        with safe_open(path, framework="pt") as file:
            yield file
    except FileNotFoundError:
        raise CheckpointError(f"{path}: no such checkpoint") from None
    except (SafetensorError, OSError) as error:
        raise CheckpointError(
            f"{path}: not a whole safetensors file ({error}); it may be half-copied, take another"
        ) from None


def _header(path: Path, metadata: dict[str, str] | None) -> dict[str, Any]:
    try:
        header: dict[str, Any] = json.loads((metadata or {})["uvtex"])
    except (KeyError, json.JSONDecodeError):
        raise CheckpointError(f"{path}: a safetensors file, but no checkpoint of uvtex") from None
    if header.get("version", 0) > FORMAT:
        raise CheckpointError(
            f"{path}: written by a newer uvtex (format {header['version']}, this one reads "
            f"{FORMAT}); upgrade uvtex"
        )
    return header


def load(path: Path) -> Checkpoint:
    """The networks of a checkpoint, on the CPU, in evaluation mode.

    Raises:
        CheckpointError: see :func:`read`; or the weights do not fit the preset in the header.
    """
    tensors, header = read(path)
    config = settings(path, header)
    predictor, renderer = build(config, bank(path, tensors))
    for name, network in (("predictor", predictor), ("renderer", renderer)):
        fill(network, name, path, tensors, config.preset)
        network.eval().requires_grad_(False)
    return Checkpoint(
        path,
        config,
        predictor,
        renderer,
        header["epoch"],
        header["metrics"],
        header["data_fingerprint"],
    )


def fill(
    network: nn.Module, name: str, path: Path, tensors: dict[str, Tensor], preset: str
) -> None:
    """Gives ``network`` the weights that ``path``'s ``tensors`` hold below ``name``.

    Raises:
        CheckpointError: they do not fit.
    """
    try:
        network.load_state_dict(subset(tensors, name))
    except RuntimeError as error:
        first = str(error).splitlines()[-1].strip()
        raise CheckpointError(
            f"{path}: weights do not fit preset {preset!r} of this uvtex ({first}); train it anew, "
            "or use the version that it was made with"
        ) from None


def read_config(path: Path) -> TrainConfig:
    """The settings that a checkpoint was trained by; raises as :func:`read` does."""
    return settings(path, read_header(path))


def settings(path: Path, header: dict[str, Any]) -> TrainConfig:
    """The settings in the header of ``path``.

    Raises:
        CheckpointError: they are none that this version knows.
    """
    try:
        return validate(TrainConfig, header["config"], where=str(path))
    except ConfigError as error:
        raise CheckpointError(f"{path}: settings in its header cannot be used: {error}") from None


def bank(path: Path, tensors: dict[str, Tensor]) -> CameraBank | None:
    """What ``tensors`` of ``path`` say of a set's cameras; None if nothing.

    Raises:
        CheckpointError: another version of uvtex said it.
    """
    cameras = subset(tensors, "predictor.cameras")
    try:
        return CameraBank(**cameras) if cameras else None
    except TypeError as error:
        raise CheckpointError(
            f"{path}: what it says of the cameras is not this uvtex's: {error}; train anew"
        ) from None


def subset(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The tensors below ``prefix.``, without it."""
    return {k[len(prefix) + 1 :]: v for k, v in tensors.items() if k.startswith(prefix + ".")}


def optimizer_tensors(name: str, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """An optimiser's state as tensors named ``optimizer.NAME.INDEX.KEY``."""
    return {
        f"optimizer.{name}.{index}.{key}": torch.as_tensor(value)
        for index, state in optimizer.state_dict()["state"].items()
        for key, value in state.items()
    }


def restore_optimizer(
    optimizer: torch.optim.Optimizer, name: str, tensors: dict[str, Tensor]
) -> None:
    """Puts back what :func:`optimizer_tensors` took."""
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in subset(tensors, f"optimizer.{name}").items():
        index, field = key.split(".", 1)
        if field != "step":
            # A fused optimiser walks parameter and state side by side: both must lie alike.
            value = torch.empty_like(parameters[int(index)]).copy_(value)
        state.setdefault(int(index), {})[field] = value
    optimizer.load_state_dict({**optimizer.state_dict(), "state": state})
