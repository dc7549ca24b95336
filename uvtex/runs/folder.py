"""A run's folder: the names of its files, who trains into it, and how it is emptied."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from filelock import FileLock, Timeout

from uvtex.config import TrainConfig
from uvtex.errors import UvtexError
from uvtex.files import remove_leftovers
from uvtex.settings import differences, load_yaml, validate

CheckpointKind = Literal["best", "last", "periodic", "foreign"]
"""``foreign``: the trainer does not give such a name, so somebody else put the file there."""


@dataclass(frozen=True)
class RunFolder:
    """The names of a run's files. Nothing else in the project knows them.

    ``name`` is always the run's ``checkpoint_name``.
    """

    path: Path

    @property
    def settings(self) -> Path:
        """The resolved settings of the run."""
        return self.path / "config.yaml"

    @property
    def epochs(self) -> Path:
        """The report of each epoch, one JSON object a line."""
        return self.path / "epochs.jsonl"

    @property
    def test(self) -> Path:
        """The figures of the best checkpoint on the test side."""
        return self.path / "test.json"

    @property
    def checkpoints(self) -> Path:
        """The folder of the checkpoints."""
        return self.path / "checkpoints"

    @property
    def grids(self) -> Path:
        """The folder of the sample pictures."""
        return self.path / "grids"

    def best(self, name: str) -> Path:
        """The checkpoint of the best epoch."""
        return self._checkpoint(name)

    def last(self, name: str) -> Path:
        """The checkpoint from which the run is resumed."""
        return self._checkpoint(f"{name}_last")

    def periodic(self, name: str, epoch: int) -> Path:
        """The checkpoint that was kept of ``epoch``."""
        return self._checkpoint(f"{name}_epoch{epoch:03d}")

    def _checkpoint(self, stem: str) -> Path:
        return self.checkpoints / f"{stem}.safetensors"

    def checkpoint_files(self) -> list[Path]:
        """Every checkpoint in the folder, sorted by name."""
        return sorted(self.checkpoints.glob("*.safetensors"))

    def grid_files(self) -> list[Path]:
        """Every sample picture in the folder, sorted by name."""
        return sorted(self.grids.glob("*.png"))

    def kind(self, checkpoint: Path, name: str) -> CheckpointKind:
        """The kind of ``checkpoint``, by its file name."""
        if checkpoint.name == self.best(name).name:
            return "best"
        if checkpoint.name == self.last(name).name:
            return "last"
        numbered = re.fullmatch(re.escape(name) + r"_epoch\d+", checkpoint.stem)
        return "periodic" if numbered else "foreign"

    def changed(self, config: TrainConfig, ignoring: Collection[str]) -> list[str]:
        """``key: old -> new`` where ``config`` differs from the run's settings; [] without any.

        Raises:
            ConfigError: the settings on disk are damaged.
        """
        before = self.read_settings()
        if before is None:
            return []
        old, new = before.model_dump(mode="json"), config.model_dump(mode="json")
        found = differences(old, new, ignoring)
        return [f"{key}: {one!r} -> {other!r}" for key, (one, other) in found.items()]

    def read_settings(self) -> TrainConfig | None:
        """The settings in ``config.yaml``; None before the run's first step.

        Raises:
            ConfigError: the file is not valid.
        """
        if not self.settings.is_file():
            return None
        return validate(TrainConfig, load_yaml(self.settings), str(self.settings))


class Taken(UvtexError):
    """Another process holds the lock of a run's folder."""


@contextmanager
def claimed(run_dir: Path, seconds: float = 0.0) -> Iterator[None]:
    """Holds the lock of ``run_dir``. The system releases it if the process dies.

    Args:
        seconds: how long to wait for another process that holds it.

    Raises:
        Taken: another process holds it.
    """
    run_dir.mkdir(parents=True, exist_ok=True)
    lock = FileLock(run_dir / ".lock", timeout=seconds)
    try:
        lock.acquire()
    except Timeout:
        raise Taken(
            f"{run_dir}: another process is training into it; wait for it or stop it, or give "
            "another --checkpoint-name"
        ) from None
    try:
        yield
    finally:
        lock.release()


def refuse_taken(run: RunFolder, name: str, resume: bool) -> None:
    """Refuses to train ``name`` from the start where that would overwrite a run.

    A best checkpoint without reports comes from a run that was killed in its first epoch. With
    ``resume`` it may be overwritten.

    Raises:
        UvtexError: the folder holds a run.
    """
    last, best = run.last(name), run.best(name)
    reported = run.epochs.is_file()
    if resume and reported:
        raise UvtexError(
            f"{run.path}: {last.relative_to(run.path)} is missing, so there is nothing to "
            "resume from; start anew with --force instead, or give another --checkpoint-name"
        )
    if not resume and (last.is_file() or best.is_file() or reported):
        raise UvtexError(
            f"{run.path}: holds a run already; continue it with --resume, replace it with --force, "
            "or give another --checkpoint-name"
        )


def clear(run: RunFolder, name: str) -> None:
    """Removes the checkpoints, grids, reports and test figures of ``name``. Other files stay.

    The last checkpoint is removed first and the reports last. So a run that was removed only in
    part can not be resumed, and :func:`refuse_taken` still sees it.
    """
    run.last(name).unlink(missing_ok=True)
    run.best(name).unlink(missing_ok=True)
    for path in run.checkpoint_files():
        if run.kind(path, name) == "periodic":
            path.unlink()
    for path in run.grid_files():
        if path.name.startswith("sample_"):
            path.unlink()
    run.test.unlink(missing_ok=True)
    run.epochs.unlink(missing_ok=True)


def tidy(run: RunFolder) -> None:
    """Removes the files that a killed process left half-written."""
    for folder in (run.path, run.checkpoints):
        remove_leftovers(folder)
