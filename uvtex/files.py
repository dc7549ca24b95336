"""Atomic writing of files and folders, and the file formats of arrays."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import io
import os
import re
import secrets
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from uvtex.errors import DataError, DiskFull, UvtexError

if TYPE_CHECKING:
    import numpy as np

LEFTOVER = re.compile(r"\..+\.[0-9a-f]{8}\.part")
"""Names of the temporary files of :func:`replacing`."""


def write_atomic(path: Path, content: bytes) -> None:
    """Writes a file beside ``path``, syncs it, and renames it to ``path``.

    On failure ``path`` is unchanged.

    Raises:
        UvtexError: the disk is full, or the folder is read-only or missing.
    """
    with replacing(path) as file:
        file.write(content)


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """A temporary file beside ``path``, open for writing and reading.

    If the block succeeds, the file replaces ``path``. If not, the file is removed and ``path`` is
    unchanged.

    Raises:
        UvtexError: an OSError occurred, here or in the block. For example, the disk is full or the
            folder is read-only.
    """
    # Not from tempfile, whose files only the owner may read, whatever the umask.
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
        kind = DiskFull if is_disk_full(error) else UvtexError
        raise kind(
            f"{path}: cannot be written: {error.strerror or error}; free space or choose another "
            "folder, what was there is untouched"
        ) from error


def is_disk_full(error: BaseException) -> bool:
    """Whether ``error`` says that a disk, a quota or a size limit leaves no space."""
    full = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    return isinstance(error, DiskFull) or (isinstance(error, OSError) and error.errno in full)


def remove_leftovers(folder: Path, name: str = "") -> None:
    """Removes the temporary files of killed writers from ``folder``.

    No writer may be active in ``folder``, or none that writes the file ``name``.

    Args:
        name: only the temporary files of the file of this name; empty: all.
    """
    for path in folder.iterdir():
        ours = not name or path.name.startswith(f".{name}.")
        if ours and LEFTOVER.fullmatch(path.name) and path.is_file():
            path.unlink(missing_ok=True)


def refuse_existing(out: Path) -> None:
    """Raises DataError if ``out`` exists, even as an empty folder or a broken link."""
    if os.path.lexists(out):
        raise DataError(f"{out}: is there already; choose a folder that is not, nothing is merged")


@contextmanager
def whole_folder(out: Path) -> Iterator[Path]:
    """A hidden folder beside ``out``.

    If the block succeeds, the folder is renamed to ``out``. If not, it is removed. Missing folders
    above ``out`` are made, and removed again on failure.

    Raises:
        DataError: ``out`` exists, or an OSError occurred, here or in the block. For example, the
            disk is full or read-only.
    """
    refuse_existing(out)
    made: list[Path] = []
    temporary = None
    try:
        _make_parents(out, made)
        temporary = Path(tempfile.mkdtemp(dir=out.parent, prefix=f".{out.name}.", suffix=".part"))
        temporary.chmod(0o777 & ~_umask())  # mkdtemp gives access to the owner alone
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
    """Makes the missing folders above ``out``, outermost first, and appends them to ``made``."""
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


def read_npz(
    path: Path, *names: str, dtype: type[np.generic], what: str, optional: Sequence[str] = ()
) -> list[np.ndarray]:
    """The arrays ``names`` of an ``.npz`` as ``dtype``, in their order, then those of ``optional``.

    Args:
        what: the kind of file, for the message.
        optional: arrays that may be missing. An empty array stands for each that is.

    Raises:
        DataError: the file is missing or broken, or one of ``names`` is missing or not numeric.
    """
    import numpy as np

    try:
        with np.load(path, allow_pickle=False) as archive:
            found = [archive[name].astype(dtype) for name in names]
            empty = np.empty(0, dtype)
            return found + [archive[n].astype(dtype) if n in archive else empty for n in optional]
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
    """Makes the folder ``path`` and the folders above it, if they are missing.

    Raises:
        UvtexError: the file system refuses to make the folder.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UvtexError(
            f"{path}: cannot be made a folder: {error.strerror or error}; choose another"
        ) from None
