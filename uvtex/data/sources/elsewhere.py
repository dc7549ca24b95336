"""Files found by the paths that they had on another machine."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePosixPath, PureWindowsPath

from uvtex.errors import DataError


def livery_of(source_uv: str) -> str:
    r"""The livery that a texture's path names: ``C:\\cars\\red.v2.png`` is ``red.v2``."""
    return PurePosixPath(parts_of(source_uv)[-1]).stem or source_uv


def parts_of(path: str) -> tuple[str, ...]:
    """A path's parts, whichever way its slashes lean; never empty."""
    parts = PureWindowsPath(path).parts
    return tuple(part for part in parts if part not in ("\\", "/")) or (path,)


class Ambiguous(DataError):
    """Several different files have the name that is looked for."""


class Files:
    """The files under a folder, found by the name that another machine's path ends in."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._by_name: dict[str, list[Path]] = {}
        for path in sorted(root.rglob("*")):
            if path.is_file():
                self._by_name.setdefault(path.name.lower(), []).append(path)

    def find(self, foreign: str) -> Path:
        """The one file of that name; where there are several, the one whose folders fit best.

        Raises:
            DataError: there is none.
            Ambiguous: several fit equally well and differ.
        """
        parts = parts_of(foreign)
        found = self._by_name.get(parts[-1].lower(), [])
        if not found:
            raise DataError(f"{parts[-1]} is not beside the metadata")
        best = max(self._agreement(parts, path) for path in found)
        fitting = [path for path in found if self._agreement(parts, path) == best]
        if len(fitting) > 1 and len({path.read_bytes() for path in fitting}) > 1:
            places = ", ".join(str(path.relative_to(self._root)) for path in fitting)
            raise Ambiguous(f"{parts[-1]} is ambiguous: {places}; keep the one that is meant")
        return fitting[0]

    def _agreement(self, parts: Sequence[str], path: Path) -> tuple[int, bool]:
        here = path.relative_to(self._root).parts
        agreeing = 0
        for theirs, ours in zip(reversed(parts), reversed(here), strict=False):
            if theirs.lower() != ours.lower():
                break
            agreeing += 1
        return agreeing, path.name == parts[-1]
