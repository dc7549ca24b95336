"""Reader of a table of pictures; they may be in any folder."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from uvtex.data import manifest
from uvtex.data.picture_formats import is_picture
from uvtex.errors import DataError
from uvtex.intake.sources.candidates import Candidate, Source
from uvtex.intake.sources.table_cells import Table, named_column, read_table
from uvtex.intake.sources.table_files import TableFiles
from uvtex.typed.paths import shown

REQUIRED = ("view", "livery", "texture")
COLUMNS = (*REQUIRED, "mask", "uv_map", "camera")
EXAMPLES = 3


def read(source: Source) -> None:
    """Adds the records of the table at ``source.path`` to ``source``.

    What is in the table and not used is named in the source's notes.

    Raises:
        DataError: the file cannot be read as a table, or lacks a column.
    """
    table = read_table(source.path, COLUMNS)
    source.notes += table.notes
    columns = _columns(table.head, source.path)
    _note_unused_columns(source, table)
    skipped: dict[str, list[int]] = {"empty rows": [], "comments": []}
    extra: list[int] = []
    files = TableFiles(source.path.parent)
    resolve = functools.cache(Path.resolve)  # a texture is in the rows of all its views
    for line, cells in table.rows:
        if not any(cell.strip() for cell in cells):
            skipped["empty rows"].append(line)
            continue
        values = {
            name: cells[n].strip() for n, name in columns.items() if n < len(cells) and cells[n]
        }
        if any(cell.strip() for cell in cells[len(table.head) :]):
            extra.append(line)
        try:
            if cells[0].lstrip().startswith("#") and not files.find(values.get("view", "")):
                skipped["comments"].append(line)
                continue
            source.candidates.append(_candidate(f"line {line}", values, files, resolve))
        except DataError as error:
            source.refuse(f"line {line}", f"{error}{_surplus(table, cells)}")
    for what, lines in skipped.items():
        if lines:
            source.notes.append(f"{len(lines)} {what} skipped: {_listed('line', lines)}")
    if extra:
        source.notes.append(
            f"{len(extra)} rows have cells beyond the headings, which are not used: "
            f"{_listed('line', extra)}"
        )
    _note_unknown_pictures(source)


def _columns(head: Sequence[str], path: Path) -> dict[int, str]:
    """Number of a column -> the name that it is known by.

    Raises:
        DataError: a column is missing, or is there twice.
    """
    columns: dict[int, str] = {}
    for number, cell in enumerate(head):
        name = named_column(cell, COLUMNS)
        if name not in COLUMNS:
            continue
        if name in columns.values():
            earlier = next(n for n, other in columns.items() if other == name)
            raise DataError(
                f"{path}: the columns {earlier + 1} and {number + 1} are both named {name}; keep "
                "one of them"
            )
        columns[number] = name
    missing = [name for name in REQUIRED if name not in columns.values()]
    if missing:
        names = ", ".join(shown(cell.strip()) for cell in head if cell.strip())
        raise DataError(
            f"{path}: no column {', '.join(missing)}; the first line must name the columns "
            f"view, livery and texture (mask, uv_map and camera if known), got "
            f"{names or 'nothing'}"
        )
    return columns


def _candidate(
    where: str, values: dict[str, str], table: TableFiles, resolve: Callable[[Path], Path]
) -> Candidate:
    absent = [name for name in REQUIRED if not values.get(name)]
    if absent:
        raise DataError(f"{' and '.join(absent)}: the row has none")
    files = {
        name: resolve(table.get(name, text))
        for name in manifest.FILE_FIELDS
        if (text := values.get(name))
    }
    return Candidate(
        where,
        files["view"],
        values["livery"],
        files["texture"],
        mask=files.get("mask"),
        uv_map=files.get("uv_map"),
        camera=values.get("camera") or None,
    )


def _surplus(table: Table, cells: Sequence[str]) -> str:
    if len(cells) <= len(table.head):
        return ""
    return (
        f"; the row has {len(cells)} cells and the table {len(table.head)} columns: put a cell "
        "that holds the delimiter in quotes"
    )


def _note_unused_columns(source: Source, table: Table) -> None:
    names = [
        cell.strip()
        for cell in table.head
        if cell.strip() and named_column(cell, COLUMNS) not in COLUMNS
    ]
    if names:
        count = f"{len(names)} column{'s'[: len(names) != 1]}"
        source.notes.append(f"{count} not used: {_listed('', names)}")
    blank = [n for n, cell in enumerate(table.head) if not cell.strip()]
    lines = [line for line, cells in table.rows if any(_cell(cells, n) for n in blank)]
    if lines:
        source.notes.append(
            f"{len(lines)} rows have cells in columns without a heading, which are not used: "
            f"{_listed('line', lines)}"
        )


def _cell(cells: Sequence[str], number: int) -> str:
    return cells[number].strip() if number < len(cells) else ""


def _note_unknown_pictures(source: Source) -> None:
    """Notes the pictures beside the views and textures that no row names."""
    named = {
        path
        for candidate in source.candidates
        for path in (candidate.view, candidate.texture, candidate.mask)
        if path
    }
    folders = sorted({path.parent for path in named})
    others = [
        path
        for folder in folders
        for path in sorted(folder.iterdir())
        if is_picture(path) and path.resolve() not in named
    ]
    if others:
        source.notes.append(
            f"{len(others)} pictures beside those of the table are in no row that can be used: "
            f"{_listed('', [shown(path.name) for path in others])}"
        )


def _listed(word: str, items: Iterable[object]) -> str:
    """The first items, and how many more there are."""
    items = list(items)
    more = f" and {len(items) - EXAMPLES} more" if len(items) > EXAMPLES else ""
    return f"{word} {', '.join(map(str, items[:EXAMPLES]))}{more}".strip()
