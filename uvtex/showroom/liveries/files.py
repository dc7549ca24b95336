"""A folder of your own liveries: finds its pictures, hashes them, and checks that each decodes."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection
from pathlib import Path

from uvtex.data import picture_formats
from uvtex.data.pictures import describe, read_rgb
from uvtex.errors import DataError
from uvtex.files import sha256_of
from uvtex.typed.paths import why_missing

LEAST_SIDE = 16
"""Smallest side of a texture, in pixels."""
SHOWN = 10
"""Largest number of broken files that one error message names."""


def find(folder: Path) -> dict[str, Path]:
    """Livery -> path of its picture, sorted by name. Other files are skipped: see :func:`skipped`.

    Raises:
        DataError: the folder is missing or has no pictures, or two pictures have the same name.
    """
    paths, others = _search(folder)
    if not paths:
        raise DataError(
            f"{folder}: holds no liveries; put one picture for each there "
            f"({', '.join(suffix[1:] for suffix in picture_formats.SUFFIXES)})"
            + "".join(f"; {sentence}" for sentence in [picture_formats.skipped(others)] if sentence)
        )
    liveries: dict[str, Path] = {}
    lower: dict[str, Path] = {}
    for path in paths:
        # Many file systems do not distinguish upper and lower case.
        other = lower.setdefault(path.stem.lower(), path)
        if other is not path:
            raise DataError(
                f"{folder}: {other.name} and {path.name} are two liveries of one name; "
                "rename one of them"
            )
        liveries[path.stem] = path
    return liveries


def skipped(folder: Path) -> str:
    """A sentence that names the files of ``folder`` that :func:`find` left out; empty for none.

    Raises:
        DataError: the folder is missing or cannot be read.
    """
    return picture_formats.skipped(_search(folder)[1])


def digest(liveries: dict[str, Path]) -> str:
    """SHA-256 of the names and contents of ``liveries``, in hexadecimal."""
    whole = hashlib.sha256()
    for name, path in liveries.items():
        whole.update(f"{name}\n{sha256(path)}\n".encode())
    return whole.hexdigest()


def sha256(path: Path) -> str:
    """SHA-256 of a file's content, in hexadecimal.

    Raises:
        DataError: the file cannot be read.
    """
    try:
        return sha256_of(path)
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}") from None


def check(
    liveries: dict[str, Path], echo: Callable[[str], None], usual: Collection[str] = ()
) -> None:
    """Decodes every picture once and reports oddities, such as transparency, to ``echo``.

    Args:
        usual: oddities that are not reported.

    Raises:
        DataError: some pictures cannot be used. The message names up to SHOWN of them, each with
            its reason.
    """
    broken = []
    for path in liveries.values():
        try:
            facts = describe(path)
            read_rgb(path)
        except DataError as error:
            broken.append(str(error))
            continue
        if min(facts.width, facts.height) < LEAST_SIDE:
            size = f"{facts.width}x{facts.height}"
            broken.append(f"{path}: {size} pixels; at least {LEAST_SIDE} a side are needed")
            continue
        odd = [oddity for oddity in facts.oddities if oddity not in usual]
        if facts.width != facts.height:
            odd.append(f"{facts.width} x {facts.height}, stretched to a square")
        if odd:
            echo(f"{path.name}: {', '.join(odd)}")
    if broken:
        more = f"\n... and {len(broken) - SHOWN} more" if len(broken) > SHOWN else ""
        raise DataError("\n".join(broken[:SHOWN]) + more)


def _search(folder: Path) -> tuple[list[Path], list[Path]]:
    if not folder.is_dir():
        hint = why_missing(str(folder)) or "; give a folder of liveries, or their count"
        raise DataError(f"{folder}: no such folder{hint}")
    try:
        return picture_formats.search(folder)
    except OSError as error:
        raise DataError(f"{folder}: cannot be read: {error.strerror or error}") from None
