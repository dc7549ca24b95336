"""The files that the cells of a table name."""

from __future__ import annotations

from pathlib import Path

from uvtex.data.manifest import MOST_HINTS
from uvtex.errors import DataError
from uvtex.typed.paths import shown, table_forms, why_missing

TABLES = (".csv", ".tsv", ".tab")
"""Endings of tables' names, in lower case."""


class TableFiles:
    """Finds the files that cells name. Paths are relative to the table's folder.

    Unlike the paths of a manifest they may leave that folder, because people write a table to
    gather pictures from several folders.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._found: dict[str, Path] = {}
        self._hints = MOST_HINTS

    def find(self, text: str) -> Path | None:
        """The file, or None.

        Raises:
            DataError: no file can have such a path.
        """
        if text not in self._found:
            try:
                if "\0" in text:
                    raise ValueError("it holds a NUL character")
                for form in table_forms(text) if text else ():
                    if (self._folder / form).is_file():
                        self._found[text] = self._folder / form
                        break
            except (OSError, ValueError, RuntimeError) as error:  # too long, NUL, a loop of links
                why = getattr(error, "strerror", None) or error
                raise DataError(f"{shown(text)!r} is not a valid path: {why}") from None
        return self._found.get(text)

    def get(self, column: str, text: str) -> Path:
        """The file that a cell of ``column`` names.

        Raises:
            DataError: there is none.
        """
        found = self.find(text)
        if found is None:
            raise DataError(f"{column} {shown(text)} is missing{self._hint(text)}")
        return found

    def _hint(self, text: str) -> str:
        """Why a file may be missing. It lists folders, so not every missing file gets one."""
        self._hints -= 1
        if self._hints < 0:
            return ""
        if (self._folder / text).is_dir():
            return "; it is a folder"
        return why_missing(text, self._folder)
