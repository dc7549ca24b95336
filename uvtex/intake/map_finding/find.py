"""Finds the UV maps of a set of photos, camera by camera, and writes the set with them."""

from __future__ import annotations

import json
import os
import random
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from uvtex.data import manifest, pictures, splits
from uvtex.data.manifest import Record
from uvtex.errors import DataError
from uvtex.files import npz, png, refuse_existing, whole_folder, write_atomic
from uvtex.imaging.map_estimation.changing import changing_pixels, odd_views
from uvtex.imaging.map_estimation.estimate import MapEstimate, estimate_map, reduced
from uvtex.imaging.map_estimation.footprints import SAMPLES
from uvtex.intake.map_finding.camera_views import CameraViews, TextureReader, read_camera
from uvtex.intake.map_finding.report import (
    KNOWN,
    SURE,
    FoundMap,
    MapsReport,
    liveries_missing,
)
from uvtex.progress import Progress, no_progress

MAPS = "maps.json"
MOST_LIVERIES = 64
"""Largest number of liveries that a camera's map is found from."""
LEAST_KNOWN = 0.02
"""Share of the painted pixels below which a camera counts as unknown."""


@dataclass(frozen=True)
class SplitChoice:
    """The split whose training side is used. The training must have the same."""

    val_split: float
    test_split: float
    split_seed: int


def find_maps(
    folder: Path,
    out: Path,
    side: int = 256,
    seed: int = 0,
    split: SplitChoice | None = None,
    progress: Progress = no_progress,
) -> MapsReport:
    """Writes the set in ``folder`` to the new folder ``out``, with the UV maps that it finds.

    Args:
        side: the longer side of the maps, in pixels, at most.
        seed: chooses among the liveries where there are more than MOST_LIVERIES.
        split: only its training liveries are used. None: all liveries are.

    Raises:
        DataError: the set cannot be read, has no picture files or fewer than two training
            liveries, no map was found, or ``out`` exists or cannot be written.
    """
    refuse_existing(out)
    records = manifest.read(folder).records
    _check_files(folder, records)
    used = _training_liveries(records, split)
    report = MapsReport(str(out), side, used, split.__dict__ if split else {})
    cameras: dict[str, list[Record]] = {}
    for record in records:
        if record.camera is not None:
            cameras.setdefault(record.camera, []).append(record)
    unnamed = sum(record.camera is None for record in records)
    if unnamed:
        report.left_out += unnamed
        report.notes.append(f"{unnamed} views name no camera")
    chosen = set(used)
    if len(used) > MOST_LIVERIES:
        chosen = set(random.Random(f"maps/{seed}").sample(used, MOST_LIVERIES))
    textures = TextureReader(folder, _texture_side(folder, records, side))
    written: list[Record] = []
    with whole_folder(out) as target:
        for number, (camera, members) in enumerate(sorted(cameras.items())):
            training = [record for record in members if record.livery in chosen]
            views = read_camera(folder, training, side, textures) if training else None
            found, files = _find(target, number, camera, members, views)
            report.cameras.append(found)
            if files is None:
                report.left_out += len(members)
            else:
                written += [_kept(folder, target, record, files) for record in members]
            progress("cameras", number + 1, len(cameras))
        if not written:
            raise DataError("\n".join([f"{folder}: no UV map could be found", *report.lines()]))
        order = {record.view: place for place, record in enumerate(records)}
        written.sort(key=lambda record: order.get(record.view, 0))
        content = json.dumps(report.to_dict(), indent=1, ensure_ascii=False)
        write_atomic(target / MAPS, content.encode("utf-8", "replace"))
        manifest.write(target, written)
    return report


def _check_files(folder: Path, records: Sequence[Record]) -> None:
    if not (folder / records[0].view).is_file():
        raise DataError(
            f"{folder}: its views have no files, they are composed from plates; its UV maps are "
            "known already"
        )


def _training_liveries(records: Sequence[Record], split: SplitChoice | None) -> list[str]:
    liveries = [record.livery for record in records]
    names = sorted(set(liveries))
    if split is not None:
        sides = splits.split(
            liveries, "livery", split.val_split, split.split_seed, split.test_split
        )
        names = sorted({liveries[number] for number in sides.train})
    if len(names) < 2:
        raise DataError(
            f"{len(names)} training livery: a UV map needs at least two, and about eight to be of "
            "use; add liveries, or give --all to use those of validation and test as well"
        )
    return names


def _texture_side(folder: Path, records: Sequence[Record], side: int) -> int:
    facts = pictures.describe(folder / records[0].texture)
    return reduced(min(facts.width, facts.height), side)


def _find(
    target: Path, number: int, camera: str, members: Sequence[Record], views: CameraViews | None
) -> tuple[FoundMap, tuple[str, str] | None]:
    """What is known of a camera, and the files of its map and its mask; None where nothing is."""
    notes = list(views.notes) if views else ["it has no training view that can be read"]
    count = len(views.liveries) if views else 0
    if views is None or count < 2:
        notes += [f"{count} livery: nothing can be found"] if views else []
        return _unknown(camera, count, len(members), 0.0, notes), None
    views = _of_one_kind(views)
    notes, count = list(views.notes), len(views.liveries)
    changing = changing_pixels(views.views)
    if not changing.any():
        notes.append("no pixel changes between its liveries")
        return _unknown(camera, count, len(members), 0.0, notes), None
    found = estimate_map(views.linear(), views.textures, changing)
    painted = torch.isfinite(found.uv[..., 0])
    sureness = found.confidence[painted]
    known = float((sureness >= KNOWN).float().mean()) if len(sureness) else 0.0
    share = float(painted.float().mean())
    if known < LEAST_KNOWN:
        notes.append("its liveries do not tell which texels its pixels show")
        return _unknown(camera, count, len(members), share, notes), None
    files = _write_map(target, f"{number:03d}", found, painted)
    sure = float((sureness >= SURE).float().mean())
    more = liveries_missing(known, count)
    return FoundMap(camera, count, len(members), share, known, sure, more, files[0], notes), files


def _of_one_kind(views: CameraViews) -> CameraViews:
    """``views`` without those of another car or place."""
    for number in reversed(odd_views(views.views)):
        views = views.without(number, "it does not show what the others of this camera show")
    return views


def _unknown(camera: str, count: int, views: int, share: float, notes: list[str]) -> FoundMap:
    more = liveries_missing(0.0, count)
    return FoundMap(camera, count, views, share, 0.0, 0.0, more, None, notes)


def _write_map(target: Path, name: str, found: MapEstimate, painted: Tensor) -> tuple[str, str]:
    files = (f"uv_maps/{name}.npz", f"masks/{name}.png")
    for file in files:
        (target / file).parent.mkdir(exist_ok=True)
    light = found.light.half().numpy()
    content = npz(
        uv=finer(found).numpy(),
        confidence=found.confidence.half().numpy(),
        falling=light[..., :3],
        reflected=light[..., 3:],
    )
    write_atomic(target / files[0], content)
    write_atomic(target / files[1], png((painted.numpy() * np.uint8(255)).astype(np.uint8)))
    return files


def finer(found: MapEstimate) -> Tensor:
    """The UV map with three samples along each side of a pixel: float32 [3 * h, 3 * w, 2].

    It is NaN where the confidence is below KNOWN.
    """
    height, width = found.confidence.shape
    at = found.uv[:, :, None] + torch.einsum("hwij,kj->hwki", found.slope, SAMPLES)
    at = at.clamp(0, 1).masked_fill((found.confidence < KNOWN)[..., None, None], torch.nan)
    parts = at.view(height, width, 3, 3, 2).permute(0, 2, 1, 3, 4)
    return parts.reshape(3 * height, 3 * width, 2)


def _kept(folder: Path, target: Path, record: Record, files: tuple[str, str]) -> Record:
    """The record in the new set, whose picture and texture are copied."""
    view, texture = (_copied(folder, target, name) for name in (record.view, record.texture))
    return Record(
        view=view,
        livery=record.livery,
        texture=texture,
        mask=files[1],
        uv_map=files[0],
        camera=record.camera,
    )


def _copied(folder: Path, target: Path, name: str) -> str:
    root = os.path.realpath(folder)
    relative = os.path.relpath(os.path.join(root, name), root)
    if not (target / relative).exists():
        (target / relative).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(folder / name, target / relative)
    return Path(relative).as_posix()
