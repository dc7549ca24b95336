"""Writing files so that a reader sees the old one or the new one, never half of one."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from uvtex.errors import UvtexError

LEFTOVER = re.compile(r"\..+\.[0-9a-f]{8}\.part")


def write_atomic(path: Path, content: bytes) -> None:
    """Writes beside ``path``, fsyncs, renames over it; on failure ``path`` is as it was.

    Raises:
        UvtexError: the disk is full, the folder is read-only or missing.
    """
    with replacing(path) as file:
        file.write(content)


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """A file beside ``path``, to be written and read, that takes its place if the block ends well.

    Otherwise it is removed and ``path`` is as it was.

    Raises:
        UvtexError: for any OSError, also of the block: the disk is full, the folder is read-only.
    """
    # Not tempfile's: its files are the owner's alone, whatever the umask says.
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        with temporary.open("x+b") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException as error:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        if not isinstance(error, OSError):
            raise
        raise UvtexError(
            f"{path}: cannot be written: {error.strerror or error}; free space or choose another "
            "folder, what was there is untouched"
        ) from error


def remove_leftovers(folder: Path) -> None:
    """Removes what writers that were killed left in ``folder``; no writer may be at work there."""
    for path in folder.iterdir():
        if LEFTOVER.fullmatch(path.name) and path.is_file():
            path.unlink()
