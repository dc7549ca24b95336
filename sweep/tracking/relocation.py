"""Makes MLflow's database find its files again after the store was moved or copied.

MLflow keeps the absolute address of every artifact folder, and has no call to change one. So the
addresses are changed in the tables themselves. Only a study's folder that lies in the store is
touched. A copy of a store finds its own files, not those of the original.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

ADDRESSES = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
)
"""MLflow's columns that hold an address: table, column."""


def relocate(database: Path, artifacts: Path) -> None:
    """Changes the addresses of ``database`` that lie in another folder than ``artifacts``.

    Args:
        artifacts: the folder ``artifacts`` of the store. It holds a folder for each study.

    Raises:
        sqlite3.Error: the database cannot be read, or must be changed and cannot be written.
    """
    with closing(sqlite3.connect(database, timeout=60)) as connection:
        moved = list(_moved(connection, artifacts.resolve()))
        if not moved:
            return
        with connection:
            for table, column in ADDRESSES:
                for old, new in moved:
                    connection.execute(
                        f"UPDATE {table} SET {column} = ? || substr({column}, ?) "
                        f"WHERE {column} = ? OR substr({column}, 1, ?) = ?",
                        (new, len(old) + 1, old, len(old) + 1, f"{old}/"),
                    )


def _moved(connection: sqlite3.Connection, artifacts: Path) -> Iterator[tuple[str, str]]:
    """The old and the new address of each study's folder that is elsewhere in the database."""
    for (old,) in connection.execute("SELECT artifact_location FROM experiments"):
        root, _, study = str(old).rpartition("/")
        if not root.startswith("file:") or not root.endswith(f"/{artifacts.name}"):
            continue
        new = f"{artifacts.as_uri()}/{study}"
        if old != new and (artifacts / study).is_dir():
            yield old, new
