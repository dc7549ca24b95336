"""A folder of liveries that people painted: which files it holds, and whether they can be used."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection
from pathlib import Path

from uvtex.data.pictures import describe, read_rgb
from uvtex.errors import DataError

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".tga", ".bmp", ".tif", ".tiff")
LEAST_SIDE = 16
"""Pixels; the smallest texture that a set can have."""
SHOWN = 10
"""Broken files that one message names."""


def find(folder: Path) -> dict[str, Path]:
    """Livery -> its picture, by name; hidden files and those of other kinds are left out.

    Raises:
        DataError: no such folder, none in it, or two of one name.
    """
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder; give a folder of liveries, or their count")
    try:
        paths = sorted(path for path in folder.iterdir() if _is_picture(path))
    except OSError as error:
        raise DataError(f"{folder}: cannot be read: {error.strerror}") from None
    if not paths:
        raise DataError(
            f"{folder}: holds no liveries; put one picture for each there "
            f"({', '.join(suffix[1:] for suffix in SUFFIXES)})"
        )
    liveries: dict[str, Path] = {}
    lower: dict[str, Path] = {}
    for path in paths:
        # Upper and lower case are one name on many disks, and so they are here.
        other = lower.setdefault(path.stem.lower(), path)
        if other is not path:
            raise DataError(
                f"{folder}: {other.name} and {path.name} are two liveries of one name; "
                "rename one of them"
            )
        liveries[path.stem] = path
    return liveries


def digest(liveries: dict[str, Path]) -> str:
    """SHA-256 over names and contents, hexadecimal."""
    whole = hashlib.sha256()
    for name, path in liveries.items():
        whole.update(f"{name}\n{sha256(path)}\n".encode())
    return whole.hexdigest()


def sha256(path: Path) -> str:
    """Of a file's content, hexadecimal.

    Raises:
        DataError: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}") from None


def check(
    liveries: dict[str, Path], tell: Callable[[str], None], usual: Collection[str] = ()
) -> None:
    """Decodes every picture once, before anything is built with them, and tells what is odd, but
    for what is ``usual``.

    Raises:
        DataError: some cannot be used; each is named with its reason.
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
            tell(f"{path.name}: {', '.join(odd)}")
    if broken:
        more = f"\n... and {len(broken) - SHOWN} more" if len(broken) > SHOWN else ""
        raise DataError("\n".join(broken[:SHOWN]) + more)


def _is_picture(path: Path) -> bool:
    hidden = path.name.startswith(".")
    return not hidden and path.suffix.lower() in SUFFIXES and path.is_file()
