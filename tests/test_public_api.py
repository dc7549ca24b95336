"""The names that ``uvtex`` exports, and the examples in docstrings."""

import doctest
import importlib
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

import uvtex
from tests.inference.small_model import save_checkpoint

MODULES = [
    "uvtex",
    "uvtex.inference.infer",
    "uvtex.inference.outputs",
    "uvtex.progress",
    "uvtex.thresholds",
]


@pytest.fixture
def _files(tiny_set: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The files that examples name, in the current folder."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(tiny_set, "data/demo")
    save_checkpoint(Path("best.safetensors"), None)
    photo = Image.new("RGB", (90, 60), (150, 152, 155))
    photo.paste((200, 20, 30), (20, 15, 70, 45))
    photo.save("photo.png")


@pytest.mark.usefixtures("_files")
@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings_run(name: str) -> None:
    result = doctest.testmod(importlib.import_module(name))
    assert result.attempted > 0
    assert result.failed == 0


@pytest.mark.parametrize("name", uvtex.__all__)
def test_a_public_name_is_the_object_of_its_module(name: str) -> None:
    module, attribute = uvtex._OWNERS[name]
    assert getattr(uvtex, name) is getattr(importlib.import_module(module), attribute)
    assert name in dir(uvtex)


def test_every_public_name_has_an_owner() -> None:
    assert sorted(uvtex._OWNERS) == sorted(uvtex.__all__)


def test_importing_uvtex_does_not_import_torch() -> None:
    code = "import sys, uvtex\nsys.exit('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
