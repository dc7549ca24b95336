"""A study with an empty MLflow store, and models that are exported once."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest
from torch import nn

from sweep.study.config import StudyConfig
from sweep.tracking import export
from tests.sweep.made_study import empty_store, make_study


@pytest.fixture
def study(tmp_path: Path) -> StudyConfig:
    empty_store(tmp_path)
    return make_study(tmp_path)


@pytest.fixture(scope="session")
def _exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("exported") / "model"


@pytest.fixture
def exported_once(_exported: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every version holds the program of the first one: to export takes seconds."""
    really = export.save

    def save(
        predictor: nn.Module, size: int, folder: Path, extra_files: Sequence[Path], **ids: str
    ) -> None:
        if not _exported.is_dir():
            really(predictor, size, _exported, extra_files, **ids)
        shutil.copytree(_exported, folder)
        for path in extra_files:
            shutil.copy(path, folder / "extra_files")

    monkeypatch.setattr(export, "save", save)
