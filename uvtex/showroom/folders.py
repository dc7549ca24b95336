"""The folders of a set."""

from __future__ import annotations

from pathlib import Path

from uvtex.errors import UvtexError


def make_folder(path: Path) -> None:
    """Makes ``path`` and the folders above it, where they are missing.

    Raises:
        UvtexError: the file system refuses.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UvtexError(
            f"{path}: cannot be made: {error.strerror}; choose a folder that can be written"
        ) from error
