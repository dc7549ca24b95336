"""A whole store, made once and copied for each test."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from sweep.study.config import StudyConfig
from tests.sweep.upkeep.made_store import make_store, opened


@pytest.fixture(scope="session")
def _whole_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("whole") / "store"
    make_store(root)
    return root


@pytest.fixture
def whole(_whole_store: Path, tmp_path: Path) -> StudyConfig:
    """A study that is whole: nothing is inconsistent.

    Copies of a store have the same run ids, and MLflow remembers where a run's artifacts are.
    """
    from mlflow.tracking._tracking_service import utils

    utils._artifact_repos_cache.clear()
    root = tmp_path / "store"
    shutil.copytree(_whole_store, root)
    return opened(root)
