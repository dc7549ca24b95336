"""Helpers for sets of plates and textures without views."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from uvtex.config import TrainConfig
from uvtex.inspection.report import SetReport

CONFIG = TrainConfig(image_size=32, val_split=0.3, device="cpu")


def files(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def edit(folder: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    path = folder / "manifest.json"
    values = json.loads(path.read_text())
    for record in values["records"]:
        change(record)
    path.write_text(json.dumps(values))


def figures(report: SetReport) -> dict[str, Any]:
    return {k: v for k, v in report.to_dict().items() if k not in ("folder", "composed")}
