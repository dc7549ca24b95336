"""A checkpoint for the tests of inference."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.inference.made_photos import KNOWN
from tests.inference.small_model import save_checkpoint


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_checkpoint(tmp_path_factory.mktemp("model") / "best.safetensors", KNOWN)
