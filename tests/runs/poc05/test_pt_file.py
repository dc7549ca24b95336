"""The original's .pt files are read without running them."""

import argparse
import builtins
import os
import pathlib
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from tests.runs.poc05.original import call, content
from uvtex.errors import CheckpointError
from uvtex.runs.poc05.pt_file import read_original

pytestmark = pytest.mark.usefixtures("in_tmp_path")


class Calls:
    """Pickles as a call of ``function``."""

    def __init__(self, function: Callable[..., Any], *args: Any) -> None:
        self.call = function, args

    def __reduce__(self) -> tuple[Any, ...]:
        return self.call


def malicious() -> dict[str, Calls]:
    return {
        "system": Calls(os.system, "touch ran"),
        "eval": Calls(builtins.eval, "open('ran', 'w')"),
        "getattr": Calls(getattr, Path, "touch"),
        "numpy": Calls(np.load, "ran"),
        "touch": Calls(pathlib.Path.touch, Path("ran")),
    }


@pytest.mark.parametrize("name", list(malicious()))
@pytest.mark.parametrize("place", ["whole", "args", "uv"])
@pytest.mark.parametrize("zipped", [True, False])
def test_a_malicious_file_is_refused_and_nothing_in_it_runs(
    name: str, place: str, zipped: bool
) -> None:
    payload: Any = malicious()[name]
    body = {"args": {"args": argparse.Namespace(x=payload)}, "uv": {"uv": {"w": payload}}}
    torch.save(body.get(place, payload), "o.pt", _use_new_zipfile_serialization=zipped)
    result = call("snapshots", "import", "o.pt", "o.safetensors")
    assert result.exit_code == 1
    assert "nothing in it was run" in result.stderr
    if zipped:
        assert "refused, it asks to call" in result.stderr
    assert "weights_only" not in result.stderr  # torch's own advice is to switch the check off
    assert "Traceback" not in result.output
    assert not Path("ran").exists()
    assert not Path("o.safetensors").exists()


def test_the_malicious_files_would_run_if_they_were_unpickled() -> None:
    """Without this, the test above could not fail."""
    torch.save(malicious()["system"], "o.pt")
    torch.load("o.pt", weights_only=False)
    assert Path("ran").exists()


@pytest.mark.parametrize(
    "damage", [lambda b: b[: len(b) // 2], lambda b: b"", lambda b: b"text", lambda b: b[9:]]
)
def test_a_damaged_file_is_named(
    networks: tuple[nn.Module, nn.Module], damage: Callable[[bytes], bytes]
) -> None:
    torch.save(content(networks), "o.pt")
    Path("o.pt").write_bytes(damage(Path("o.pt").read_bytes()))
    with pytest.raises(CheckpointError, match=r"o\.pt: cannot be read as a checkpoint of torch"):
        read_original(Path("o.pt"))


def test_a_plain_pickle_and_a_missing_file_are_named() -> None:
    Path("o.pt").write_bytes(pickle.dumps({"uv": {}, "renderer": {}}))
    with pytest.raises(CheckpointError, match=r"o\.pt"):
        read_original(Path("o.pt"))
    with pytest.raises(CheckpointError, match="no such file"):
        read_original(Path("none.pt"))
    assert call("snapshots", "import", "none.pt", "o.pt").stderr.count("end in .safetensors") == 1
