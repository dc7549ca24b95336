"""Data sets with plates, for the tests of stores."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.data.plates_only import edit
from tests.sets import make_showroom


@pytest.fixture(scope="module")
def showroom(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A set of made-up plates. No test may change it."""
    return make_showroom(tmp_path_factory.mktemp("store") / "set")


@pytest.fixture(scope="module")
def full_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four liveries, three named cameras, and textures larger than views. No test may change it."""
    folder = make_showroom(tmp_path_factory.mktemp("full_set") / "set", texels=48)
    edit(folder, lambda record: record.update(camera=Path(record["plate"]).stem))
    return folder


@pytest.fixture
def set_without_views(full_set: Path, tmp_path: Path) -> Path:
    """``full_set`` without the files of its views."""
    folder = Path(shutil.copytree(full_set, tmp_path / "set"))
    shutil.rmtree(folder / "views")
    return folder
