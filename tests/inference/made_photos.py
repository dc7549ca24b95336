"""Made photos of a red car, and calls of `uvtex infer`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from click.testing import CliRunner, Result
from PIL import Image

from uvtex.cli import main
from uvtex.imaging.framing import Framing, Range, box_of

GROUND, PAINT = (150, 152, 155), (200, 20, 30)

KNOWN = Framing(
    size=Range(least=0.7, usual=0.8, most=0.9),
    x=Range(least=0.5, usual=0.5, most=0.5),
    y=Range(least=0.5, usual=0.5, most=0.5),
)


def call(*args: Any) -> Result:
    return CliRunner().invoke(main, ["infer", *(str(arg) for arg in args)])


def inferred(*args: Any) -> list[dict[str, Any]]:
    result = call(*args, "--out", "o", "--json")
    assert result.exit_code == 0, result.output
    records: list[dict[str, Any]] = json.loads(result.stdout)
    return records


def photo(
    name: str, width: int, height: int, car: tuple[int, int, int, int], **options: Any
) -> Path:
    """Saves a grey picture with a red car in the box (left, top, right, bottom)."""
    picture = Image.new("RGB", (width, height), GROUND)
    picture.paste(PAINT, car)
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    picture.save(path, **options)
    return path


def red(view: np.ndarray) -> tuple[int, int]:
    """Width and height of the red car in a view, in pixels."""
    box = box_of((view[..., 0] > 170) & (view[..., 1] < 90))
    assert box is not None
    return int(box.right - box.left), int(box.bottom - box.top)
