"""Reader of this project's ``manifest.json``: a bad record is refused, the others are kept."""

from __future__ import annotations

import os
from pathlib import Path

from pydantic import ValidationError

from uvtex.data import manifest
from uvtex.errors import DataError
from uvtex.intake.sources.candidates import Candidate, Source, Unusable, problem
from uvtex.typed.text_files import read_json


def read(source: Source) -> None:
    """Adds the records of the manifest at ``source.path`` to ``source``."""
    root = source.path.parent.resolve()
    records, refused = lenient(source.path)
    source.unusable += refused
    for where, record in records:
        files = {
            name: Path(os.path.realpath(root / relative))
            for name in manifest.PATH_FIELDS
            if (relative := getattr(record, name)) is not None
        }
        source.candidates.append(
            Candidate(where, livery=record.livery, camera=record.camera, **files)
        )


def lenient(path: Path) -> tuple[list[tuple[str, manifest.Record]], list[Unusable]]:
    """The good records of a ``manifest.json``, each with its position, and the refused records.

    :func:`uvtex.data.manifest.read` stops at the first fault. This function lists all faults. Both
    check a record by :class:`uvtex.data.manifest.RecordCheck`.

    Raises:
        DataError: the file is missing, is not JSON, has no list of records, or has another version.
    """
    values = read_json(path, DataError)
    records = values.get("records") if isinstance(values, dict) else None
    if not isinstance(records, list):
        raise DataError(f"{path}: records: must be a list")
    if values.get("version", manifest.VERSION) != manifest.VERSION:
        raise DataError(
            f"{path}: version {values['version']}; this uvtex reads version {manifest.VERSION}"
        )
    check = manifest.RecordCheck(path.parent)
    good: list[tuple[str, manifest.Record]] = []
    refused: list[Unusable] = []
    for number, value in enumerate(records):
        where = f"record {number}"
        try:
            record = manifest.Record.model_validate(value)
            check(record)
        except ValidationError as error:
            refused.append(Unusable(where, problem(error)))
        except DataError as error:
            refused.append(Unusable(where, str(error)))
        else:
            good.append((where, record))
    return good, refused
