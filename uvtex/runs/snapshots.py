"""The checkpoints of a run: which there are, which may be removed, and an archive of them."""

from __future__ import annotations

import gzip
import hashlib
import math
import os
import re
import tarfile
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Literal

from uvtex.errors import CheckpointError, UvtexError
from uvtex.files import replacing
from uvtex.runs import checkpoint
from uvtex.runs.epochs import FILE
from uvtex.runs.folder import CHECKPOINTS

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


LEVEL = 1
CHUNK = 1 << 20


@dataclass(frozen=True)
class Archived:
    """What was put away, in bytes before and after, and what was then removed."""

    path: Path
    files: int
    bytes_in: int
    bytes_out: int
    removed: tuple[Snapshot, ...]


def archive(run: Path, out: Path, removing: Sequence[Snapshot] = ()) -> Archived:
    """Writes the run's ``config.yaml``, ``epochs.jsonl`` and checkpoints to ``out``.

    ``out`` appears when every file in it was read back and is, by SHA-256, the one in the run.
    Only then ``removing`` are removed, less those that changed meanwhile.

    Raises:
        UvtexError: ``out`` exists or cannot be written, the run has no checkpoint, or what was
            read back differs.
    """
    if os.path.lexists(out):
        raise UvtexError(f"{out}: is there already; choose another --out")
    found = snapshots(run)
    if not found:
        raise UvtexError(f"{run}: has no checkpoint to archive")
    records = [path for path in (run / "config.yaml", run / FILE) if path.is_file()]
    digests = {path: _member_digest(path) for path in (*records, *(s.path for s in found))}
    members = {_member(run, path): digest for path, digest in digests.items()}
    out.parent.mkdir(parents=True, exist_ok=True)
    with replacing(out) as file:
        _write(file, run, list(digests))
        if _read_back(file) != members:
            raise UvtexError(
                f"{out}: not written, because what was read back differs from {run}; if a run is "
                "being trained there, wait for its end and try again"
            )
    gone = tuple(s for s in removing if digests.get(s.path) == _member_digest(s.path))
    size = sum(path.stat().st_size for path in digests)
    remove(s.path for s in gone)
    return Archived(out, len(digests), size, out.stat().st_size, gone)


def _write(file: BinaryIO, run: Path, paths: Sequence[Path]) -> None:
    with tarfile.open(fileobj=file, mode="w:gz", compresslevel=LEVEL) as tar:
        for path in paths:
            tar.add(path, _member(run, path), recursive=False, filter=_anonymous)


def _read_back(file: BinaryIO) -> dict[str, str]:
    """SHA-256 of each file in the archive; none where it is no whole archive."""
    file.seek(0)
    digests = {}
    try:
        with gzip.open(file) as plain, tarfile.open(fileobj=plain, mode="r:") as tar:
            for member in tar:
                content = tar.extractfile(member)
                if content is not None:
                    digests[member.name] = hashlib.file_digest(content, "sha256").hexdigest()  # type: ignore[arg-type]
            while plain.read(CHUNK):  # gzip's own checksum stands behind tar's end
                pass
    except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile):
        return {}
    return digests


def _member_digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _member(run: Path, path: Path) -> str:
    return f"{run.resolve().name}/{path.relative_to(run).as_posix()}"


def _anonymous(member: tarfile.TarInfo) -> tarfile.TarInfo:
    """Whose the files were is nobody's business who gets the archive."""
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    return member


def kept_because(found: Sequence[Snapshot], every: int = 0) -> dict[Path, str]:
    """Why each checkpoint stays; those that may go have no entry.

    ``every`` keeps periodic ones whose epoch is a multiple of it; 0 keeps none of them. Where the
    best or the last is missing or broken, the periodic one that comes nearest to it stays.
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
    """The checkpoints that :func:`kept_because` has no reason to keep."""
    kept = kept_because(found, every)
    return [s for s in found if s.path not in kept]


def remove(paths: Iterable[Path]) -> None:
    """Removes the files; one that is gone already is no error."""
    for path in paths:
        path.unlink(missing_ok=True)
