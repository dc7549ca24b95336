"""A run's checkpoints, settings and reports in one compressed file, proved by reading it back.

gzip, not xz: trained weights hardly shrink (docs/log.md, 2026-11-23: by 8 percent with gzip, by 9
with xz in three times the time), and every system opens a .tar.gz.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import tarfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from uvtex.errors import UvtexError
from uvtex.files import replacing
from uvtex.report import FILE
from uvtex.snapshots.folder import Snapshot, snapshots
from uvtex.snapshots.retention import remove

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
    digests = {path: _digest(path) for path in (*records, *(s.path for s in found))}
    members = {_member(run, path): digest for path, digest in digests.items()}
    out.parent.mkdir(parents=True, exist_ok=True)
    with replacing(out) as file:
        _write(file, run, list(digests))
        if _read_back(file) != members:
            raise UvtexError(
                f"{out}: not written, because what was read back differs from {run}; if a run is "
                "being trained there, wait for its end and try again"
            )
    gone = tuple(s for s in removing if digests.get(s.path) == _digest(s.path))
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


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _member(run: Path, path: Path) -> str:
    return f"{run.resolve().name}/{path.relative_to(run).as_posix()}"


def _anonymous(member: tarfile.TarInfo) -> tarfile.TarInfo:
    """Whose the files were is nobody's business who gets the archive."""
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    return member
