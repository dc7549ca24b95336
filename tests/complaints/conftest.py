"""What the complaints about tables share."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from tests.complaints.made_tables import ROWS


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The pictures of :data:`ROWS`. No reader opens them, so one pixel is enough."""
    (tmp_path / "in/pics").mkdir(parents=True)
    for row in ROWS:
        for name in (row[0], row[2]):
            Image.new("RGB", (1, 1)).save(tmp_path / "in" / name)
    return tmp_path / "in"
