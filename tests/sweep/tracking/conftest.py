"""A study with an empty MLflow store."""

from __future__ import annotations

from pathlib import Path

import pytest

from sweep.study.config import StudyConfig
from tests.sweep.made_study import empty_store, make_study


@pytest.fixture
def study(tmp_path: Path) -> StudyConfig:
    empty_store(tmp_path)
    return make_study(tmp_path)
