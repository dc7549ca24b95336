"""A trained checkpoint for the tests of commands."""

from pathlib import Path

import pytest

from tests.cli.invoke import TRAIN, call


@pytest.fixture
def trained(tiny_set: Path, in_tmp_path: None) -> Path:
    result = call("train", tiny_set, *TRAIN)
    assert result.exit_code == 0, result.output
    return Path("runs/best/checkpoints/best.safetensors")
