"""How MLflow loads and asks a registered model. A version holds a copy of this file.

So it imports nothing of this project. The version's metadata has the words for what the program
says of a picture: see :mod:`sweep.tracking.program`.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import torch

REPORT = "report"
"""The parameter of a request for an answer that says what became of each picture."""
METADATA = "said_of_pictures"
"""The key of the words in the version's metadata: kind -> number -> words."""

_logger = logging.getLogger("mlflow.uvtex")


class ServedModel:
    """The exported program, with MLflow's ``predict``."""

    def __init__(self, program: torch.nn.Module, words: dict[str, dict[str, str]]) -> None:
        self._program = program
        self._words = words

    def predict(self, data: np.ndarray, params: dict[str, Any] | None = None) -> Any:
        """Textures uint8 [N, S, S, 3] of pictures uint8 [N, V, H, W, 3].

        With the parameter ``report`` it is a dict: ``texture``, and for ``left_out`` and
        ``warnings`` texts [N, V], one a picture, "" where there is nothing to say. What is left out
        is logged in both cases.
        """
        with torch.no_grad():
            texture, said = self._program(torch.from_numpy(np.array(data)))
        told = {
            kind: np.array([[words.get(str(n), "") for n in row] for row in said.tolist()])
            for kind, words in self._words.items()
        }
        for (livery, picture), why in np.ndenumerate(told["left_out"]):
            if why:
                _logger.warning("livery %d, picture %d: %s; left out", livery, picture, why)
        made = texture.numpy()
        return {"texture": made, **told} if (params or {}).get(REPORT) else made


def _load_pyfunc(path: str) -> ServedModel:
    """Called by MLflow.

    Args:
        path: the folder ``data`` of the version.
    """
    import mlflow.pytorch
    from mlflow.models import Model

    folder = Path(path).parent
    words = Model.load(folder).metadata[METADATA]
    return ServedModel(mlflow.pytorch.load_model(str(folder)), words)
