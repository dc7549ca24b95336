"""Writing files so that a reader sees the old one or the new one, never half of one."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from uvtex.errors import UvtexError


def write_atomic(path: Path, content: bytes) -> None:
    """Writes beside ``path``, fsyncs, renames over it; on failure ``path`` is as it was.

    Raises:
        UvtexError: the disk is full, the folder is read-only or missing.
    """
    temporary = None
    try:
        with tempfile.NamedTemporaryFile(
            dir=path.parent, prefix=f".{path.name}.", suffix=".part", delete=False
        ) as file:
            temporary = Path(file.name)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        if temporary is not None:
            temporary.unlink(missing_ok=True)
        raise UvtexError(
            f"{path}: cannot be written: {error.strerror or error}; free space or choose another "
            "folder, what was there is untouched"
        ) from error
