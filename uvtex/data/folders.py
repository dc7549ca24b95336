"""A new folder that is there as a whole or not at all."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from uvtex.errors import DataError


def refuse_existing(out: Path) -> None:
    """Raises DataError where ``out`` is anything already, an empty folder or a broken link too."""
    if os.path.lexists(out):
        raise DataError(f"{out}: is there already; choose a folder that is not, nothing is merged")


@contextmanager
def whole_folder(out: Path) -> Iterator[Path]:
    """A hidden folder beside ``out`` that becomes ``out`` if the block ends well, or else goes.

    Missing folders above ``out`` are made, and unmade too.

    Raises:
        DataError: ``out`` exists, or an OSError in the block: disk full, read-only.
    """
    refuse_existing(out)
    made: list[Path] = []
    temporary = None
    try:
        _make_parents(out, made)
        temporary = Path(tempfile.mkdtemp(dir=out.parent, prefix=f".{out.name}.", suffix=".part"))
        temporary.chmod(0o777 & ~_umask())  # mkdtemp's own are for its maker alone
        yield temporary
        refuse_existing(out)  # rename would replace an empty folder
        temporary.rename(out)
    except BaseException as error:
        if temporary is not None:
            shutil.rmtree(temporary, ignore_errors=True)
        with contextlib.suppress(OSError):
            for folder in reversed(made):
                folder.rmdir()
        if isinstance(error, OSError):
            raise DataError(
                f"{out}: cannot be written: {error.strerror or error}; free space or choose "
                "another folder, nothing was left behind"
            ) from error
        raise


def _make_parents(out: Path, made: list[Path]) -> None:
    """Makes the missing folders above ``out``, outermost first, each noted in ``made``."""
    missing = []
    for folder in out.absolute().parents:
        if folder.exists():
            break
        missing.append(folder)
    for folder in reversed(missing):
        folder.mkdir()
        made.append(folder)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
