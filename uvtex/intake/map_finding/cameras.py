"""The cameras of a set: those that its records name, and groups of the views that name none."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from uvtex.data import pictures
from uvtex.data.manifest import Record
from uvtex.errors import DataError
from uvtex.intake.map_finding.same_camera import group_views, small

MOST_VIEWS = 20_000
"""Largest number of views that are grouped; a small picture of each is held in memory."""


def cameras_of(
    folder: Path, records: Sequence[Record], notes: list[str]
) -> tuple[dict[str, list[Record]], list[Record]]:
    """Camera -> its records, by name; and the records that have none and cannot be grouped.

    Args:
        notes: receives how the views that name no camera were grouped.
    """
    cameras: dict[str, list[Record]] = {}
    for record in records:
        if record.camera is not None:
            cameras.setdefault(record.camera, []).append(record)
    unnamed = [record for record in records if record.camera is None]
    if not unnamed:
        return cameras, []
    unused: list[Record] = unnamed[MOST_VIEWS:]
    forms: dict[float, list[tuple[Record, torch.Tensor]]] = {}
    for record in unnamed[:MOST_VIEWS]:
        try:
            view = pictures.read_rgb(folder / record.view)
        except DataError:
            unused.append(record)
            continue
        form = round(view.shape[1] / view.shape[0], 1)
        tile = small(torch.from_numpy(view.copy()).permute(2, 0, 1))
        forms.setdefault(form, []).append((record, tile))
    found: list[list[Record]] = []
    for members in forms.values():
        groups: dict[int, list[Record]] = {}
        liveries = [record.livery for record, _ in members]
        numbers = group_views(torch.stack([tile for _, tile in members]), liveries)
        for (record, _), number in zip(members, numbers, strict=True):
            groups.setdefault(number, []).append(record)
        found += groups.values()
    found.sort(key=len, reverse=True)
    for number, group in enumerate(found, start=1):
        name = f"group{number:02d}"
        while name in cameras:
            name += "-"
        cameras[name] = [record.model_copy(update={"camera": name}) for record in group]
    sizes = ", ".join(str(len(group)) for group in found[:8])
    notes.append(
        f"{len(unnamed)} views name no camera: they form {len(found)} groups by what does not "
        f"change, of {sizes}{' ...' if len(found) > 8 else ''} views; name the cameras if that is "
        "wrong"
    )
    return cameras, unused
