"""One thing in a store that is not as it should be, and what mends it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Remedy:
    """An action that mends findings and loses nothing. Findings may share one."""

    name: str
    """What it does, and to what. Remedies of the same name are the same."""
    act: Callable[[], object]
    order: int = 1
    """Lower ones run first: files before Optuna, and both before MLflow, which shows them."""
    shows_files: bool = False
    """Whether it puts what is in the trial directories into MLflow."""


@dataclass(frozen=True)
class Finding:
    """An inconsistency."""

    kind: str
    """A name for programs, such as ``broken-checkpoint``."""
    where: str
    """The file, trial or run."""
    what: str
    """What is wrong with it."""
    mend: str
    """What a person can do about it, or what ``--fix`` does."""
    bytes: int = 0
    """What it takes on the disk, if that is more than the fault itself: orphans and leftovers."""
    remedy: Remedy | None = None
    """None: no command can mend it without losing something."""


def removal(path: Path) -> Remedy:
    """Removes a file, or a folder with all that is in it. A link is removed, not followed."""

    def act() -> None:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)

    return Remedy(f"remove {path}", act, order=0)


def size_of(path: Path) -> int:
    """Bytes of a file, or of all files in a folder. A link counts nothing."""
    if path.is_symlink():
        return 0
    if path.is_file():
        return path.stat().st_size
    files = (file for file in path.rglob("*") if file.is_file() and not file.is_symlink())
    return sum(file.stat().st_size for file in files)
