"""The cells of a table as spreadsheets and scripts write it: CSV in any of its dialects."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from uvtex.errors import DataError
from uvtex.typed.text_files import decoded, read_bytes

DELIMITERS = ",;\t|"
_SEPARATOR_LINE = re.compile(r'"?sep=(.|\\t)"?\s*', re.IGNORECASE)
_LONGEST_CELL = 2**31 - 1


@dataclass
class Table:
    """The cells of a table."""

    head: list[str]
    """The headings. Empty where the file has none."""
    rows: list[tuple[int, list[str]]] = field(default_factory=list)
    """Number of the row's first line, and its cells. Lines without anything are left out."""
    notes: list[str] = field(default_factory=list)
    """What is to be told of how the file was read."""


def read_table(path: Path, columns: Collection[str]) -> Table:
    """The cells of the file ``path``.

    Args:
        columns: names that its headings may have, see :func:`named_column`. They tell which
            character delimits the cells.

    Raises:
        DataError: the file cannot be read as a table.
    """
    notes: list[str] = []
    table = _parsed(_text(path, notes), path, columns)
    table.notes += notes
    return table


def named_column(cell: str, columns: Collection[str]) -> str:
    """The column that a heading names, whatever its case, blanks and hyphens; else the heading."""
    plain = re.sub(r"[\W_]+", "", cell).lower()
    return next((name for name in columns if name.replace("_", "") == plain), cell.strip())


def _text(path: Path, notes: list[str]) -> str:
    content = read_bytes(path, DataError)
    try:
        text = decoded(content)
    except ValueError as error:
        if str(error).startswith("it is "):
            raise DataError(
                f"{path}: cannot be read as CSV: {error}; save the table as CSV UTF-8"
            ) from None
        try:
            text = content.decode("cp1252")
        except UnicodeDecodeError:
            raise DataError(f"{path}: cannot be read as UTF-8 text: {error}") from None
        notes.append(
            "the table cannot be read as UTF-8, so it was read as Windows-1252; if names with "
            "accents are wrong, save it as CSV UTF-8"
        )
    return text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")


def _parsed(text: str, path: Path, columns: Collection[str]) -> Table:
    lines = text.split("\n")
    start, delimiter = 0, None
    while start < len(lines) and _before_head(lines[start]):
        match = _SEPARATOR_LINE.fullmatch(lines[start])
        if match:
            delimiter = match.group(1).replace("\\t", "\t")
        start += 1
    head = lines[start] if start < len(lines) else ""
    likely = _delimiter(head, columns)
    if delimiter is None or _known(head, delimiter, columns) < _known(head, likely, columns):
        delimiter = likely
    body = io.StringIO("\n".join(lines[start:]), newline="")
    reader = csv.reader(body, delimiter=delimiter, skipinitialspace=delimiter != "\t", strict=True)
    table: Table | None = None
    line = start + 1
    try:
        with _fields_of_any_length():
            for cells in reader:
                if table is None:
                    table = Table(cells)
                elif cells:
                    table.rows.append((line, cells))
                line = start + reader.line_num + 1
    except csv.Error as error:
        why = "a quote is opened and never closed" if "end of data" in str(error) else error
        raise DataError(f"{path}: cannot be read as CSV: line {line}: {why}") from None
    return table or Table([])


def _before_head(line: str) -> bool:
    blank = not line.strip(f"{DELIMITERS} \"'")
    return blank or line.lstrip().startswith("#") or bool(_SEPARATOR_LINE.fullmatch(line))


@contextmanager
def _fields_of_any_length() -> Iterator[None]:
    """Lets the csv module read long cells: one such cell would make the whole table unreadable."""
    limit = csv.field_size_limit(_LONGEST_CELL)
    try:
        yield
    finally:
        csv.field_size_limit(limit)


def _delimiter(head: str, columns: Collection[str]) -> str:
    """The character that splits the headings into the most known ones, else into the most."""
    return max(DELIMITERS, key=lambda sign: (_known(head, sign, columns), head.count(sign)))


def _known(head: str, delimiter: str, columns: Collection[str]) -> int:
    names = {named_column(cell.strip().strip('"'), columns) for cell in head.split(delimiter)}
    return len(names & set(columns))
