"""A predictor as an exported program that needs none of our code: picture in, texture out.

The program is MLflow's ``pt2`` flavour: a traced graph and raw tensors, no pickle. What happens to
a photo before the network is in the graph, so that whoever loads it needs to know nothing.
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
"""The input example's shape. No two sizes equal and none 1: the exporter fixes a size of 1, and
may take two equal ones for the same size."""


class PictureToTexture(nn.Module):
    """uint8 pictures [N, H, W, 3] of any size to uint8 textures [N, S, S, 3].

    As ``uvtex infer --whole`` does: padded to a square by the border's median colour, never
    stretched, and resized with antialiasing.
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
        RegistryError: the program takes only pictures of the example's sizes.
    """
    with seam.known_warnings():
        import mlflow.pyfunc  # MLflow would import it later, when nobody is listening
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
    """A copy on the CPU whose tensors are whole: the archive warns of views into larger ones."""
    copied = copy.deepcopy(predictor).cpu().eval()
    for tensor in (*copied.parameters(), *copied.buffers()):
        tensor.data = tensor.data.clone(memory_format=torch.contiguous_format)
    return copied


def _check_free(folder: Path) -> None:
    """The exporter fixes a size silently where the network asks for it as a plain int."""
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
    """What goes in and comes out, as MLflow states it."""
    from mlflow.models import ModelSignature
    from mlflow.types import Schema, TensorSpec

    byte = np.dtype(np.uint8)
    return ModelSignature(
        Schema([TensorSpec(byte, (-1, -1, -1, 3))]),
        Schema([TensorSpec(byte, (-1, size, size, 3))]),
    )


def example() -> np.ndarray:
    """Two small pictures with a gradient on them."""
    count, height, width, _ = EXAMPLE
    rows, columns = np.mgrid[:height, :width]
    one = np.stack([rows * 255 // height, columns * 255 // width, rows + columns], axis=-1)
    return np.repeat(one[None].astype(np.uint8), count, axis=0)


def requirements() -> list[str]:
    """What an environment needs to run the model: nothing of ours.

    An exported program is promised to load in the torch that wrote it and in later ones; MLflow
    reads the format without pickles from torch 2.10.
    """
    import mlflow

    oldest = max(torch.__version__.partition("+")[0], "2.10", key=_release)
    return [f"mlflow>={mlflow.__version__}", "numpy>=1.26", f"torch>={oldest}"]


def _release(version: str) -> list[int]:
    return [int(part) for part in version.split(".")[:2]]
