"""Lists, prunes and archives the checkpoints of a run."""

from __future__ import annotations

import math
import os
import tarfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from uvtex.errors import CheckpointError, UvtexError
from uvtex.files import replacing
from uvtex.runs.folder import CheckpointKind, RunFolder
from uvtex.runs.header import OriginalRecord, read_header

RUNS = Path("runs")

Kind = CheckpointKind | Literal["broken"]


@dataclass(frozen=True)
class Snapshot:
    """One checkpoint file, described by its header."""

    path: Path
    bytes: int
    kind: Kind
    epoch: int | None = None
    """None if ``kind`` is broken."""
    metrics: dict[str, float] = field(default_factory=dict)
    original: OriginalRecord | None = None
    """The record of an imported checkpoint's origin."""
    problem: str | None = None
    """Why the file cannot be read, if ``kind`` is broken."""


def find_run(path: Path) -> Path:
    """The run's folder for ``path``: the folder, its ``checkpoints``, or a name in ``runs``.

    Raises:
        UvtexError: there is no such run.
    """
    for candidate in (path, path.parent, RUNS / path):
        folder = RunFolder(candidate).checkpoints
        if folder.is_dir() and (candidate != path.parent or path.name == folder.name):
            return candidate
    name = RunFolder(path).checkpoints.name
    raise UvtexError(f"{path}: holds no folder {name}; give a run's folder, as runs/NAME")


def snapshots(run: Path) -> list[Snapshot]:
    """The checkpoints of a run, sorted by epoch, broken ones last."""
    folder = RunFolder(run)
    found = [_read_snapshot(folder, path) for path in folder.checkpoint_files()]
    return sorted(found, key=lambda s: (s.epoch is None, s.epoch or 0, s.path.name))


def _read_snapshot(run: RunFolder, path: Path) -> Snapshot:
    size = path.stat().st_size
    try:
        header = read_header(path)
    except CheckpointError as error:
        return Snapshot(path, size, "broken", problem=str(error))
    kind = run.kind(path, header.config.checkpoint_name)
    return Snapshot(path, size, kind, header.epoch, header.metrics, original=header.original)


LEVEL = 1
"""Level of gzip. A higher one hardly makes weights smaller."""


@dataclass(frozen=True)
class Archived:
    """The result of :func:`archive`: bytes before and after, and the removed checkpoints."""

    path: Path
    files: int
    bytes_in: int
    bytes_out: int
    removed: tuple[Snapshot, ...]


def archive(run: Path, out: Path, removing: Sequence[Snapshot] = ()) -> Archived:
    """Writes the run's ``config.yaml``, ``epochs.jsonl``, ``test.json`` and checkpoints to ``out``.

    ``out`` appears when it is complete and on the disk. Only then ``removing`` are removed, and of
    them only files that are in the archive and have not changed since.

    Raises:
        UvtexError: ``out`` exists or cannot be written, or the run has no checkpoint.
    """
    if os.path.lexists(out):
        raise UvtexError(f"{out}: is there already; choose another --out")
    found = snapshots(run)
    if not found:
        raise UvtexError(f"{run}: has no checkpoint to archive")
    folder = RunFolder(run)
    kept = (folder.settings, folder.epochs, folder.test)
    records = [path for path in kept if path.is_file()]
    identities = {path: _file_identity(path) for path in (*records, *(s.path for s in found))}
    out.parent.mkdir(parents=True, exist_ok=True)
    with (
        replacing(out) as file,
        tarfile.open(fileobj=file, mode="w:gz", compresslevel=LEVEL) as tar,
    ):
        for path in identities:
            tar.add(path, _member(run, path), recursive=False, filter=_anonymous)
    gone = tuple(
        s for s in removing if s.path in identities and identities[s.path] == _file_identity(s.path)
    )
    size = sum(path.stat().st_size for path in identities)
    remove(s.path for s in gone)
    return Archived(out, len(identities), size, out.stat().st_size, gone)


def _file_identity(path: Path) -> tuple[int, int, int] | None:
    """Size, inode and time of change: another file of the same name has others."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_size, status.st_ino, status.st_mtime_ns


def _member(run: Path, path: Path) -> str:
    return f"{run.resolve().name}/{path.relative_to(run).as_posix()}"


def _anonymous(member: tarfile.TarInfo) -> tarfile.TarInfo:
    """Removes the owner's name and ids from the archive."""
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    return member


def kept_because(found: Sequence[Snapshot], every: int = 0) -> dict[Path, str]:
    """The reason to keep each checkpoint. Removable checkpoints have no entry.

    Periodic checkpoints are kept if their epoch is a multiple of ``every``; 0 keeps none of them.
    If the best or the last checkpoint is missing or broken, the nearest periodic one is kept.
    """
    kept: dict[Path, str] = {}
    periodic = [s for s in found if s.kind == "periodic"]
    for s in found:
        if s.kind == "periodic":
            if every and s.epoch is not None and s.epoch % every == 0:
                kept[s.path] = f"every {every}"
        else:
            kept[s.path] = s.kind
    if periodic and not any(s.kind == "best" for s in found):
        nearest = max(periodic, key=lambda s: s.metrics.get("margin", -math.inf))
        kept[nearest.path] = "best of those left"
    if periodic and not any(s.kind == "last" for s in found):
        kept.setdefault(max(periodic, key=lambda s: s.epoch or 0).path, "last of those left")
    return kept


def removable(found: Sequence[Snapshot], every: int = 0) -> list[Snapshot]:
    """The checkpoints without an entry in :func:`kept_because`."""
    kept = kept_because(found, every)
    return [s for s in found if s.path not in kept]


def remove(paths: Iterable[Path]) -> None:
    """Removes the files. A file that is already gone is no error."""
    for path in paths:
        path.unlink(missing_ok=True)
