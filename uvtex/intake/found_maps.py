"""Brings ``maps.json`` into an imported set: from which liveries its UV maps were found."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from uvtex.data import splits
from uvtex.data.found_maps import MAPS, FoundMaps, check_held_out, read_found_maps
from uvtex.data.manifest import Record
from uvtex.errors import DataError
from uvtex.files import write_atomic
from uvtex.typed.text_files import read_json


def bring_found_maps(
    source: Path, folder: Path, placed: Mapping[Path, str], records: Sequence[Record], out: Path
) -> list[str]:
    """Writes the source's ``maps.json`` as it holds of the imported maps; returns notes.

    Files are copied, so a map's figures stay true, and so do the liveries that it was found from.
    The names of files and the numbers of views become those of the new set. Cameras whose map was
    not imported are left out. The notes say what no longer holds. Without a file there are none.

    Args:
        source: the set that is imported.
        folder: the new set, complete but for this file.
        placed: UV map of the source, without links -> its name in the new set.
        records: those of the new set.
        out: where the new set will lie.

    Raises:
        DataError: the source's file cannot be read.
    """
    found = read_found_maps(source)
    if found is None:
        return []
    views = Counter(record.uv_map for record in records if record.uv_map)
    names = {}
    for camera in found.cameras:
        name = camera.uv_map and placed.get(Path(os.path.realpath(source / camera.uv_map)))
        if name in views:
            names[camera.uv_map] = name
    if not names:
        return [f"{MAPS}: was not imported, because none of its UV maps was"]
    values = read_json(source / MAPS, DataError)
    cameras = []
    for line in values["cameras"]:
        if name := names.get(line.get("uv_map")):
            cameras.append(line | {"uv_map": name, "views": views[name]})
        elif not line.get("uv_map"):
            cameras.append(line)
    content = json.dumps(values | {"out": str(out), "cameras": cameras}, indent=1)
    write_atomic(folder / MAPS, content.encode())
    lost = [c.camera for c in found.cameras if c.uv_map and c.uv_map not in names]
    return [
        *_notes(lost, sorted(set(views) - set(names.values()))),
        *_split(folder, found, records),
    ]


def _notes(lost: Sequence[str], other: Sequence[str]) -> Iterator[str]:
    if lost:
        yield f"{MAPS}: has no line of the cameras whose UV maps were not imported: {_some(lost)}"
    if other:
        yield f"{MAPS}: says nothing of these UV maps, which it did not name: {_some(other)}"


def _split(folder: Path, found: FoundMaps, records: Sequence[Record]) -> Iterator[str]:
    """A note where the split of the maps no longer keeps what it held out."""
    split = found.split
    if not split.keys() >= {"val_split", "test_split", "split_seed"}:
        return
    liveries = [record.livery for record in records]
    try:
        sides = splits.split(
            liveries, "livery", split["val_split"], split["split_seed"], split["test_split"]
        )
    except DataError:  # too few liveries for any training
        return
    try:
        check_held_out(folder, liveries, sides)
    except DataError:
        shown = ", ".join(f"{name} {value:g}" for name, value in split.items())
        yield (
            f"{MAPS}: not all liveries were imported, so the split of the maps ({shown}) would now "
            "hold out liveries that they were found from, and training refuses it; find the maps "
            "anew with `uvtex data maps`"
        )


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return ", ".join(names[:5]) + more
