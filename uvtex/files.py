"""Files and folders that are there whole or not at all, and arrays as the bytes of files."""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import re
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from uvtex.errors import DataError, UvtexError

if TYPE_CHECKING:
    import numpy as np

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


def png(pixels: Any) -> bytes:
    """``pixels`` uint8 [h, w] or [h, w, 3] as PNG."""
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "png")
    return file.getvalue()


def npz(**arrays: Any) -> bytes:
    """Named ``arrays`` as a compressed ``.npz``."""
    import numpy as np

    file = io.BytesIO()
    np.savez_compressed(file, **arrays)
    return file.getvalue()


def read_npz(path: Path, *names: str, dtype: type[np.generic], what: str) -> list[np.ndarray]:
    """The arrays ``names`` of an ``.npz`` as ``dtype``, in their order.

    Args:
        what: the kind of file, for the message.

    Raises:
        DataError: the file is missing or broken, lacks one of ``names``, or holds no numbers there.
    """
    import numpy as np

    try:
        with np.load(path, allow_pickle=False) as archive:
            return [archive[name].astype(dtype) for name in names]
    except Exception:  # numpy raises nearly anything on broken archives, with advice to unpickle
        arrays = f"array{'s'[: len(names) - 1]} {' and '.join(f'`{name}`' for name in names)}"
        article = "an " if len(names) == 1 else ""
        raise DataError(
            f"{path}: not a readable {what}; an .npz with {article}{arrays} is needed"
        ) from None


def sha256_of(path: Path) -> str:
    """SHA-256 of a file's content, in hexadecimal.

    Raises:
        OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def make_folder(path: Path) -> None:
    """Makes ``path`` and the folders above it, where they are missing.

    Raises:
        UvtexError: the file system refuses.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UvtexError(
            f"{path}: cannot be made a folder: {error.strerror or error}; choose another"
        ) from None
