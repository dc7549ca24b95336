"""Finds the format of a source, and refuses duplicate livery names and duplicate views."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from uvtex.errors import DataError
from uvtex.intake.sources import csv_table, manifest_json, metadata_json
from uvtex.intake.sources.candidates import Candidate, Kind, Source
from uvtex.intake.sources.table_files import TABLES
from uvtex.typed.paths import why_missing

FORMATS = (
    "a folder with manifest.json (this project's own), a CSV with the columns view, livery and "
    "texture, or a folder with an earlier script's metadata.json"
)
JSON_NAMES = ("manifest.json", "metadata.json")
SPREADSHEETS = (".xlsx", ".xlsm", ".xlsb", ".xls", ".ods", ".numbers")
_READERS: dict[Kind, Callable[[Source], None]] = {
    "manifest": manifest_json.read,
    "csv": csv_table.read,
    "metadata": metadata_json.read,
}


def read(path: Path) -> Source:
    """Reads the source at ``path``: a file of a known format, or a folder with one such file.

    Raises:
        DataError: ``path`` does not exist, has no known format or several, or cannot be read.
    """
    kind, file = _find(path)
    source = Source(kind, file)
    _READERS[kind](source)
    _refuse_shared_names(source)
    _refuse_repeats(source)
    return source


def _find(path: Path) -> tuple[Kind, Path]:
    if path.is_file():
        return _kind_of(path), path
    if not path.is_dir():
        raise DataError(f"{path}: no such file or folder{why_missing(str(path))}")
    there = sorted(entry for entry in path.iterdir() if entry.is_file())
    found = [path / name for name in JSON_NAMES if path / name in there]
    found += [entry for entry in there if entry.suffix.lower() in TABLES and entry not in found]
    if len(found) == 1:
        return _kind_of(found[0]), found[0]
    if found:
        listed = ", ".join(file.name for file in found)
        raise DataError(f"{path}: holds {listed}; name the one to import")
    for entry in there:
        if entry.suffix.lower() in SPREADSHEETS:
            _kind_of(entry)
    empty = not any(path.iterdir())
    raise DataError(
        f"{path}: {'the folder is empty' if empty else 'nothing to import there'}; "
        f"what can be imported is {FORMATS}"
    )


def _kind_of(file: Path) -> Kind:
    suffix = file.suffix.lower()
    # Excel's "Unicode text" is a table with tabs, named .txt.
    if suffix in TABLES or (suffix == ".txt" and file.stat().st_size):
        return "csv"
    if suffix in SPREADSHEETS:
        raise DataError(
            f"{file}: cannot be imported: it is a spreadsheet; save its table as CSV UTF-8, and "
            "import that file"
        )
    if file.name in JSON_NAMES:
        return "manifest" if file.stem == "manifest" else "metadata"
    raise DataError(f"{file}: cannot be imported; what can be is {FORMATS}")


def _refuse_shared_names(source: Source) -> None:
    """Refuses the records of each livery name that has several textures."""
    textures: dict[str, set[Path]] = {}
    for candidate in source.candidates:
        textures.setdefault(candidate.livery, set()).add(candidate.texture)
    kept = []
    for candidate in source.candidates:
        others = sorted(str(path) for path in textures[candidate.livery])
        if len(others) == 1:
            kept.append(candidate)
            continue
        source.refuse(
            candidate.where,
            f"two liveries are named {candidate.livery!r}, with {' and '.join(others)}; give each "
            "texture a livery of its own",
        )
    source.candidates = kept


def _refuse_repeats(source: Source) -> None:
    """Refuses each record whose view an earlier record has.

    A view that is there twice counts twice in the loss, and leaks if the split separates the two.
    """
    first: dict[Path, Candidate] = {}
    for candidate in source.candidates:
        earlier = first.setdefault(candidate.view, candidate)
        if earlier is not candidate:
            source.refuse(candidate.where, f"its view is that of {earlier.where}, {earlier.view}")
    source.candidates = list(first.values())
