"""Exports a predictor as a program that runs without this package: picture in, texture out.

The program has MLflow's ``pt2`` format: a traced graph and raw tensors, no pickle. The graph
includes the padding and the resizing of a photo, so a caller passes pictures as they are.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sweep.tracking import client as seam
from sweep.tracking.client import RegistryError

EXAMPLE = (2, 48, 72, 3)
"""The input example's shape. All sizes differ and none is 1: the exporter makes a size of 1 a
constant, and may treat two equal sizes as one."""


class PictureToTexture(nn.Module):
    """uint8 pictures [N, H, W, 3] of any size to uint8 textures [N, S, S, 3].

    The preparation is that of ``uvtex infer --whole``: pad to a square with the median colour of
    the border, then resize with antialiasing.
    """

    def __init__(self, predictor: nn.Module, size: int) -> None:
        super().__init__()
        self.predictor = predictor
        self.size = size

    def forward(self, pictures: Tensor) -> Tensor:
        view = _square(pictures.permute(0, 3, 1, 2).float())
        view = F.interpolate(view, (self.size, self.size), mode="bilinear", antialias=True)
        texture = self.predictor(view / 127.5 - 1).float()
        pixels = ((texture.clamp(-1, 1) + 1) * 127.5).round()
        out: Tensor = pixels.to(torch.uint8).permute(0, 2, 3, 1)
        return out


def _square(view: Tensor) -> Tensor:
    """[N, 3, H, W] padded to [N, 3, max(H, W), max(H, W)]."""
    height, width = view.shape[2:]
    border = torch.cat([view[:, :, 0], view[:, :, -1], view[..., 0], view[..., -1]], dim=2)
    ground = border.median(dim=2).values[..., None, None]
    side = torch.sym_max(height, width)  # type: ignore[no-untyped-call]
    left, top = (side - width) // 2, (side - height) // 2
    around = (left, side - width - left, top, side - height - top)
    return F.pad(view - ground, around) + ground


def save(
    predictor: nn.Module,
    size: int,
    folder: Path,
    extra_files: Sequence[Path] = (),
    *,
    run_id: str | None = None,
    model_id: str | None = None,
) -> None:
    """Writes an MLflow model into ``folder``, which must not exist.

    Raises:
        MlflowException: see :func:`sweep.tracking.client.mapped_errors`.
        RegistryError: the program takes no other picture sizes than the example's.
    """
    with seam.known_warnings():
        import mlflow.pyfunc  # imported here, where its warning is silenced
        import mlflow.pytorch
        from mlflow.models.model import Model

    mlflow.pytorch.save_model(
        PictureToTexture(_own(predictor), size).eval(),
        str(folder),
        mlflow_model=Model(run_id=run_id, model_id=model_id),
        signature=signature(size),
        input_example=example(),
        serialization_format="pt2",
        pip_requirements=requirements(),
        extra_files=[str(path) for path in extra_files],
    )
    _check_free(folder)


def _own(predictor: nn.Module) -> nn.Module:
    """A copy on the CPU with contiguous tensors: the archive warns of views into larger tensors."""
    copied = copy.deepcopy(predictor).cpu().eval()
    for tensor in (*copied.parameters(), *copied.buffers()):
        tensor.data = tensor.data.clone(memory_format=torch.contiguous_format)
    return copied


def _check_free(folder: Path) -> None:
    """Checks that the program takes other sizes: the exporter makes a plain int a constant."""
    import mlflow.pytorch

    program = mlflow.pytorch.load_model(str(folder))
    for shape in ((1, 31, 20, 3), (3, 40, 80, 3)):
        try:
            program(torch.zeros(shape, dtype=torch.uint8))
        except (AssertionError, RuntimeError) as error:
            raise RegistryError(
                f"the exported predictor refuses pictures {shape}: {error}; its forward must take "
                "sizes from x.shape, not from len(x)"
            ) from error


def signature(size: int) -> Any:
    """MLflow's description of the program's input and output."""
    from mlflow.models import ModelSignature
    from mlflow.types import Schema, TensorSpec

    byte = np.dtype(np.uint8)
    return ModelSignature(
        Schema([TensorSpec(byte, (-1, -1, -1, 3))]),
        Schema([TensorSpec(byte, (-1, size, size, 3))]),
    )


def example() -> np.ndarray:
    """Two small pictures of a colour gradient, uint8 of shape :data:`EXAMPLE`."""
    count, height, width, _ = EXAMPLE
    rows, columns = np.mgrid[:height, :width]
    one = np.stack([rows * 255 // height, columns * 255 // width, rows + columns], axis=-1)
    return np.repeat(one[None].astype(np.uint8), count, axis=0)


def requirements() -> list[str]:
    """The packages that an environment needs to run the model. This package is not among them.

    PyTorch promises that an exported program loads in its own version of torch and in later ones.
    MLflow reads the format without pickle from torch 2.10 on.
    """
    import mlflow

    oldest = max(torch.__version__.partition("+")[0], "2.10", key=_release)
    return [f"mlflow>={mlflow.__version__}", "numpy>=1.26", f"torch>={oldest}"]


def _release(version: str) -> list[int]:
    return [int(part) for part in version.split(".")[:2]]
