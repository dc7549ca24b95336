"""Writing files so that a reader sees the old one or the new one, never half of one."""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path

from uvtex.errors import UvtexError


def write_atomic(path: Path, content: bytes) -> None:
    """Writes beside ``path``, fsyncs, renames over it; on failure ``path`` is as it was.

    Raises:
        UvtexError: the disk is full, the folder is read-only or missing.
    """
    # Not tempfile's: its files are the owner's alone, whatever the umask says.
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        with temporary.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise UvtexError(
            f"{path}: cannot be written: {error.strerror or error}; free space or choose another "
            "folder, what was there is untouched"
        ) from error
