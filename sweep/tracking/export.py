"""Exports a predictor as a program that runs without this package: pictures in, texture out.

The program has MLflow's ``pt2`` format: a traced graph and raw tensors, no pickle. The graph
includes the padding, the registration and the resizing of a photo, so a caller passes pictures as
they are: see :class:`sweep.tracking.program.PicturesToTexture`. MLflow's loader of such programs
allows one output. So the model holds a loader of its own, :mod:`sweep.tracking.served_model`.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from sweep.tracking import client as seam
from sweep.tracking import served_model
from sweep.tracking.client import RegistryError
from sweep.tracking.program import LEFT_OUT, WARNINGS, PicturesToTexture
from uvtex.models import Predictor

EXAMPLE = (2, 4, 24, 36, 3)
"""The input example's shape. All sizes differ and none is 1: the exporter makes a size of 1 a
constant, and may treat two equal sizes as one."""


def save(
    predictor: Predictor,
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
        PicturesToTexture(_own(predictor), size).eval(),
        str(folder),
        mlflow_model=Model(run_id=run_id, model_id=model_id),
        signature=signature(size),
        input_example=example(),
        serialization_format="pt2",
        pip_requirements=requirements(),
        extra_files=[str(path) for path in extra_files],
        code_paths=[served_model.__file__],
        metadata={served_model.METADATA: words()},
    )
    _use_own_loader(folder)
    _ask_for_report(folder)
    _check_free(folder)


def words() -> dict[str, dict[str, str]]:
    """The words for what the program says of a picture: kind -> number -> words."""
    kinds = {"left_out": LEFT_OUT, "warnings": WARNINGS}
    return {
        kind: {str(int(said)): text for said, text in texts.items()}
        for kind, texts in kinds.items()
    }


def _use_own_loader(folder: Path) -> None:
    """Names the copy of :mod:`sweep.tracking.served_model` as what MLflow asks."""
    from mlflow.models.model import MLMODEL_FILE_NAME, Model
    from mlflow.pyfunc import FLAVOR_NAME, MAIN, MODEL_CONFIG

    model = Model.load(folder)
    flavour = model.flavors[FLAVOR_NAME]
    flavour[MAIN] = Path(served_model.__file__).stem
    del flavour[MODEL_CONFIG]
    model.save(folder / MLMODEL_FILE_NAME)


def _ask_for_report(folder: Path) -> None:
    """Makes the example of a request ask for the report. MLflow traces it without parameters."""
    from mlflow.models.utils import SERVING_INPUT_FILENAME

    path = folder / SERVING_INPUT_FILENAME
    request = json.loads(path.read_text()) | {"params": {served_model.REPORT: True}}
    path.write_text(json.dumps(request))


def _own(predictor: Predictor) -> Predictor:
    """A copy on the CPU with contiguous tensors: the archive warns of views into larger tensors."""
    copied = copy.deepcopy(predictor).cpu().eval()
    for tensor in (*copied.parameters(), *copied.buffers()):
        tensor.data = tensor.data.clone(memory_format=torch.contiguous_format)
    return copied


def _check_free(folder: Path) -> None:
    """Checks that the program takes other sizes: the exporter makes a plain int a constant."""
    import mlflow.pytorch

    program = mlflow.pytorch.load_model(str(folder))
    for shape in ((1, 1, 31, 20, 3), (3, 2, 40, 80, 3), (1, 5, 20, 20, 3)):
        try:
            program(torch.zeros(shape, dtype=torch.uint8))
        except (AssertionError, RuntimeError) as error:
            raise RegistryError(
                f"the exported predictor refuses pictures {shape}: {error}; its forward must take "
                "sizes from x.shape, not from len(x)"
            ) from error


def signature(size: int) -> Any:
    """MLflow's description of the program's input, parameter, and output without the parameter."""
    from mlflow.models import ModelSignature
    from mlflow.types import ParamSchema, ParamSpec, Schema, TensorSpec

    byte = np.dtype(np.uint8)
    return ModelSignature(
        Schema([TensorSpec(byte, (-1, -1, -1, -1, 3))]),
        Schema([TensorSpec(byte, (-1, size, size, 3))]),
        ParamSchema([ParamSpec(served_model.REPORT, "boolean", False)]),
    )


def example() -> np.ndarray:
    """Small pictures of a colour gradient, uint8 of shape :data:`EXAMPLE`."""
    height, width = EXAMPLE[2:4]
    rows, columns = np.mgrid[:height, :width]
    one = np.stack([rows * 255 // height, columns * 255 // width, rows + columns], axis=-1)
    return np.broadcast_to(one.astype(np.uint8), EXAMPLE).copy()


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
