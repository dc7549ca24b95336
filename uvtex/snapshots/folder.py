"""What checkpoints a run's folder holds."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from uvtex import checkpoint
from uvtex.errors import CheckpointError, UvtexError
from uvtex.run_folder import CHECKPOINTS

RUNS = Path("runs")

Kind = Literal["best", "last", "periodic", "foreign", "broken"]
"""``foreign``: readable, but not of the names that the trainer gives; somebody put it there."""


@dataclass(frozen=True)
class Snapshot:
    """One checkpoint file, by its header."""

    path: Path
    bytes: int
    kind: Kind
    epoch: int | None = None
    """None where ``kind`` is broken."""
    metrics: dict[str, float] = field(default_factory=dict)
    original: dict[str, Any] | None = None
    """What an imported checkpoint says of where it comes from."""
    problem: str | None = None
    """Why the file cannot be read."""


def find_run(path: Path) -> Path:
    """The run's folder that ``path`` means: itself, its checkpoints, or a name in ``runs``.

    Raises:
        UvtexError: there is none.
    """
    parent = path.parent if path.name == CHECKPOINTS else path
    for candidate in (path, parent, RUNS / path):
        if (candidate / CHECKPOINTS).is_dir():
            return candidate
    raise UvtexError(f"{path}: holds no folder {CHECKPOINTS}; give a run's folder, as runs/NAME")


def snapshots(run: Path) -> list[Snapshot]:
    """The checkpoints of a run, by epoch, the broken ones at the end."""
    found = [_look(path) for path in (run / CHECKPOINTS).glob("*.safetensors")]
    return sorted(found, key=lambda s: (s.epoch is None, s.epoch or 0, s.path.name))


def _look(path: Path) -> Snapshot:
    size = path.stat().st_size
    try:
        header = checkpoint.read_header(path)
        name = checkpoint.settings(path, header).checkpoint_name
    except CheckpointError as error:
        return Snapshot(path, size, "broken", problem=str(error))
    kind = _kind(path.stem, name)
    return Snapshot(
        path, size, kind, header["epoch"], header["metrics"], original=header.get("original")
    )


def _kind(stem: str, name: str) -> Kind:
    if stem == name:
        return "best"
    if stem == f"{name}_last":
        return "last"
    return "periodic" if re.fullmatch(re.escape(name) + r"_epoch\d+", stem) else "foreign"
