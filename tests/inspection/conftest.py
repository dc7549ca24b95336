import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def messy(tiny_set: Path, tmp_path: Path) -> Path:
    """A copy of the tiny set, to be damaged."""
    return Path(shutil.copytree(tiny_set, tmp_path / "set"))


def change(folder: Path, edit: Callable[[list[dict[str, Any]]], None]) -> None:
    path = folder / "manifest.json"
    values = json.loads(path.read_text())
    edit(values["records"])
    path.write_text(json.dumps(values))
