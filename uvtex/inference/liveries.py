"""Which photos show one livery: loose photos, a folder for each livery, or a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from uvtex.data import picture_formats
from uvtex.errors import ConfigError, DataError
from uvtex.intake.sources.table_cells import named_column, read_table
from uvtex.intake.sources.table_files import TABLES, TableFiles
from uvtex.typed.paths import shown

COLUMNS = ("view", "photo", "livery", "mask")
LOOSE = "fused"
"""Name of the livery of photos that are given one by one."""
_NOT_IN_NAMES = str.maketrans(dict.fromkeys('/\\:*?"<>|\x00', "_"))


@dataclass(frozen=True)
class Livery:
    """The photos of one livery."""

    name: str
    """The name that its result files begin with."""
    photos: tuple[Path, ...]
    masks: tuple[Path | None, ...]
    """The mask that the table gives for each photo."""


def liveries_of(given: Sequence[Path]) -> list[Livery]:
    """The liveries of what a person gave: photos, folders of photos, tables.

    All photos that are given one by one show one livery. A folder is a livery. A table has the
    columns ``view`` (or ``photo``) and ``livery``, and ``mask`` if masks are known. Paths in it are
    relative to the table's folder.

    Raises:
        ConfigError: a photo is given twice for one livery, or two liveries have the same name.
        DataError: a folder holds no pictures, or a table cannot be used.
    """
    loose = [path for path in given if not path.is_dir() and path.suffix.lower() not in TABLES]
    found = [_livery(LOOSE, loose)] if loose else []
    for path in given:
        if path.is_dir():
            found.append(_of_folder(path))
        elif path.suffix.lower() in TABLES:
            found += _of_table(path)
    names = [livery.name.lower() for livery in found]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ConfigError(
            f"{', '.join(twice)}: two liveries have this name, so their results would overwrite "
            "each other; rename one folder, or its livery in the table"
        )
    return found


def _livery(
    name: str, photos: Sequence[Path], masks: Sequence[Path | None] | None = None
) -> Livery:
    resolved = [photo.resolve() for photo in photos]
    twice = sorted({str(p) for p, r in zip(photos, resolved, strict=True) if resolved.count(r) > 1})
    if twice:
        raise ConfigError(f"{', '.join(twice)}: given twice for livery {name}; give it once")
    safe = name.translate(_NOT_IN_NAMES).strip(". ") or "livery"
    return Livery(safe, tuple(photos), tuple(masks or [None] * len(photos)))


def _of_folder(folder: Path) -> Livery:
    try:
        photos, others = picture_formats.search(folder)
        inside = sorted(path.name for path in folder.iterdir() if path.is_dir())
    except OSError as error:
        raise DataError(f"{folder}: cannot be read: {error.strerror or error}") from None
    if not photos:
        skipped = picture_formats.skipped(others)
        hint = f"; it holds folders: give them, as in {folder / inside[0]}" if inside else ""
        raise DataError(f"{folder}: holds no pictures{hint}" + (f" ({skipped})" if skipped else ""))
    return _livery(folder.resolve().name, photos)


def _of_table(path: Path) -> list[Livery]:
    table = read_table(path, COLUMNS)
    columns = {named_column(cell, COLUMNS): number for number, cell in enumerate(table.head)}
    view = columns.get("view", columns.get("photo"))
    if view is None or "livery" not in columns:
        raise DataError(
            f"{path}: the first line must name the columns view and livery, got "
            f"{', '.join(shown(cell) for cell in table.head if cell.strip()) or 'nothing'}"
        )
    files = TableFiles(path.parent)
    rows: dict[str, list[tuple[Path, Path | None]]] = {}
    problems = []
    for line, cells in table.rows:
        name, photo, mask = (
            cells[n].strip() if n is not None and n < len(cells) else ""
            for n in (columns["livery"], view, columns.get("mask"))
        )
        if not name and not photo:
            continue
        try:
            if not name or not photo:
                raise DataError(f"the row has no {'view' if name else 'livery'}")
            pair = files.get("view", photo), files.get("mask", mask) if mask else None
            rows.setdefault(name, []).append(pair)
        except DataError as error:
            problems.append(f"{path}: line {line}: {error}")
    if problems:
        raise DataError("\n".join([*problems, "nothing was written"]))
    if not rows:
        raise DataError(f"{path}: has no rows; write a row for each photo")
    return [
        _livery(name, [photo for photo, _ in pairs], [mask for _, mask in pairs])
        for name, pairs in rows.items()
    ]
