"""A data set that a node lacks: sent in pieces, kept in the node's cache by its content's hash."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from uvtex.data import manifest

PIECES_BYTES = 4 << 20
"""Bytes of one call."""

LISTING = ".content.json"
"""The listing's name among the files that are sent. It comes last."""


@dataclass(frozen=True)
class Piece:
    """A part of a file. Bytes that follow those of an earlier piece of the same file."""

    name: str
    """Path of the file, relative to the data set's folder, with ``/``."""
    data: bytes


class SentData:
    """A data set, to be sent to nodes. Making one reads all of its files."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._listing = {name: _digest(folder / name) for name in _names(folder)}

    @property
    def content(self) -> str:
        """Hash of names and content of all files, in hexadecimal."""
        return hashlib.sha256(_bytes(self._listing)).hexdigest()

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(os.path.getsize(self._folder / name) for name in self._listing)

    def pieces(self) -> Iterator[list[Piece]]:
        """All files in lists of about PIECES_BYTES, the listing last."""
        waiting: list[Piece] = []
        size = 0
        for piece in self._all():
            waiting.append(piece)
            size += len(piece.data)
            if size >= PIECES_BYTES:
                yield waiting
                waiting, size = [], 0
        yield [*waiting, Piece(LISTING, _bytes(self._listing))]

    def _all(self) -> Iterator[Piece]:
        for name in self._listing:
            with (self._folder / name).open("rb") as file:
                yield Piece(name, file.read(PIECES_BYTES))
                while data := file.read(PIECES_BYTES):
                    yield Piece(name, data)


class Received:
    """A data set on its way into this node's cache."""

    def __init__(self, content: str) -> None:
        self.content = content
        final = cached(content)
        self._part = final.with_name(f"{final.name}.{secrets.token_hex(4)}.part")
        self._part.mkdir(parents=True)

    def write(self, pieces: list[Piece]) -> None:
        """Appends pieces to their files.

        Raises:
            OSError: the disk is full or read-only.
            ValueError: a name leads out of the folder.
        """
        for piece in pieces:
            file = self._part / piece.name
            if not file.resolve().is_relative_to(self._part.resolve()):
                raise ValueError(f"{piece.name!r} leads out of the data set's folder")
            file.parent.mkdir(parents=True, exist_ok=True)
            with file.open("ab") as out:
                out.write(piece.data)

    def finish(self) -> Path:
        """Checks every file and puts the data set into its place. Returns its folder.

        Raises:
            ValueError: a file is not what was sent.
        """
        try:
            found = (self._part / LISTING).read_bytes()
            if hashlib.sha256(found).hexdigest() != self.content:
                raise ValueError("the data set's listing was damaged on its way")
            for name, digest in json.loads(found).items():
                if _digest(self._part / name) != digest:
                    raise ValueError(f"the data set's file {name} was damaged on its way")
            final = cached(self.content)
            old = self._part.with_suffix(".old")
            if final.exists():  # put there meanwhile, or damaged later
                os.rename(final, old)
            os.rename(self._part, final)
            shutil.rmtree(old, ignore_errors=True)
        except BaseException:
            shutil.rmtree(self._part, ignore_errors=True)
            raise
        return final


def cached(content: str) -> Path:
    """The folder of a data set in this node's cache."""
    root = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return Path(root) / "uvtex" / "data-sets" / content


def _names(folder: Path) -> list[str]:
    """The manifest, the files that it names, and those beside it. Views may be absent."""
    named = {
        name
        for record in manifest.read(folder).records
        for field in manifest.PATH_FIELDS
        if (name := getattr(record, field)) is not None and (folder / name).is_file()
    }
    beside = {file.name for file in folder.iterdir() if file.is_file() and file.name[0] != "."}
    return sorted(named | beside)


def _digest(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def _bytes(listing: dict[str, str]) -> bytes:
    return json.dumps(listing, indent=0, sort_keys=True).encode()
