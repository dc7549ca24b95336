"""Finds the UV maps of a set of photos, camera by camera, and writes the set with them."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from operator import itemgetter
from pathlib import Path

import torch

from uvtex.data import manifest, pictures, splits
from uvtex.data.found_maps import MAPS, STIFFNESS
from uvtex.data.manifest import Record
from uvtex.errors import DataError
from uvtex.files import refuse_existing, whole_folder, write_atomic
from uvtex.imaging.map_estimation.changing import changing_pixels
from uvtex.imaging.map_estimation.estimate import MapEstimate, estimate_map
from uvtex.imaging.map_estimation.levels import reduced
from uvtex.imaging.uv_maps import KNOWN
from uvtex.intake.map_finding.alignment import Alignment, Offset, aligned
from uvtex.intake.map_finding.camera_views import CameraViews, TextureReader, read_camera
from uvtex.intake.map_finding.cameras import cameras_of
from uvtex.intake.map_finding.report import SURE, FoundMap, MapsReport, liveries_missing
from uvtex.intake.map_finding.unexplained import unexplained_view
from uvtex.intake.map_finding.write import write_map, write_record
from uvtex.progress import Progress, no_progress
from uvtex.typed.text_files import read_json

MOST_LIVERIES = 64
"""Largest number of liveries that a camera's map is found from."""
LARGE = 512
"""Side of a map, in pixels, above which half as many are used: each takes 40 MB at 1024 pixels."""
DOUBTFUL = 0.5
"""Share of the painted pixels that are known, below which a view may not belong to its texture."""
LEAST_KNOWN = 0.02
"""Share of the painted pixels below which a camera counts as unknown."""


@dataclass(frozen=True)
class SplitChoice:
    """The split whose training side is used. The training must have the same."""

    val_split: float
    test_split: float
    split_seed: int


@dataclass(frozen=True)
class _Search:
    """What became of a camera."""

    told: FoundMap
    estimate: MapEstimate | None = None
    others: Mapping[float, MapEstimate] = field(default_factory=dict)
    """The estimates of other stiffness, by it."""
    alignment: Alignment | None = None
    """How to bring each view to the map."""


def find_maps(
    folder: Path,
    out: Path,
    side: int = 256,
    seed: int = 0,
    split: SplitChoice | None = None,
    progress: Progress = no_progress,
    stiffness: Sequence[float] = (STIFFNESS,),
) -> MapsReport:
    """Writes the set in ``folder`` to the new folder ``out``, with the UV maps that it finds.

    Args:
        side: the longer side of the maps, in pixels, at most.
        seed: chooses among the liveries where there are more than MOST_LIVERIES, or half of that
            above LARGE.
        split: only its training liveries are used. None: all liveries are.
        stiffness: a map of each camera is found for each of these, see :func:`estimate_map`. They
            are above 0 and all different. What the report says is of the first, which is used
            where no other is asked for.

    Raises:
        DataError: the set cannot be read, has no picture files or fewer than two training
            liveries, no map was found, or ``out`` exists or cannot be written.
    """
    refuse_existing(out)
    records = manifest.read(folder).records
    _check_files(folder, records)
    used = _training_liveries(records, split)
    report = MapsReport(str(out), side, used, asdict(split) if split else {}, list(stiffness))
    cameras, unused = cameras_of(folder, records, report.notes)
    report.left_out += len(unused)
    chosen = set(used)
    most = MOST_LIVERIES if side <= LARGE else MOST_LIVERIES // 2
    if len(used) > most:
        chosen = set(random.Random(f"maps/{seed}").sample(used, most))
    textures = TextureReader(folder, _texture_side(folder, records, side))
    order = {record.view: place for place, record in enumerate(records)}
    written: list[tuple[int, Record]] = []
    with whole_folder(out) as target:
        for number, (camera, members) in enumerate(sorted(cameras.items())):
            place = (camera, number, len(cameras))
            training = [record for record in members if record.livery in chosen]
            views = read_camera(folder, training, side, textures) if training else None
            tell = partial(_tell, progress, place)
            search = _search(folder, camera, len(members), views, stiffness, tell)
            if search.estimate is None:
                report.left_out += len(members)
                report.cameras.append(search.told)
            else:
                files = write_map(target, f"{number:03d}", search.estimate, search.others)
                report.cameras.append(replace(search.told, uv_map=files.uv_map))
                for record in members:
                    offset = search.alignment.of(folder, record) if search.alignment else Offset()
                    new = write_record(folder, target, record, files, offset)
                    written.append((order[record.view], new))
            progress("cameras", number + 1, len(cameras))
        if not written:
            raise DataError("\n".join([f"{folder}: no UV map could be found", *report.lines()]))
        written.sort(key=itemgetter(0))
        content = json.dumps(report.to_dict(), indent=1, ensure_ascii=False)
        write_atomic(target / MAPS, content.encode("utf-8", "replace"))
        manifest.write(target, [record for _, record in written])
    return report


def _tell(progress: Progress, place: tuple[str, int, int], words: str) -> None:
    """Reports what is done for the camera of this name and number, of so many."""
    camera, number, count = place
    progress("cameras", number, count, f"{camera}: {words}")


def _check_files(folder: Path, records: Sequence[Record]) -> None:
    if not (folder / records[0].view).is_file():
        raise DataError(
            f"{folder}: its views have no files, they are composed from plates; its UV maps are "
            "known already"
        )
    if _is_augmented(folder):
        raise DataError(
            f"{folder}: was imported from a metadata.json of augmented pictures, in which no "
            "camera stands still; import the pictures from before the augmentation with a CSV "
            "table, one row a view with its camera"
        )


def _is_augmented(folder: Path) -> bool:
    """Whether the set was imported from an earlier script's ``metadata.json``."""
    try:
        told = read_json(folder / "import.json", DataError)
    except DataError:
        return False
    return isinstance(told, dict) and told.get("kind") == "metadata"


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


def _search(
    folder: Path,
    camera: str,
    views: int,
    read: CameraViews | None,
    stiffness: Sequence[float],
    tell: Callable[[str], None],
) -> _Search:
    """Finds the maps of a camera that has ``views`` views, from those that were read.

    What belongs to the camera is settled with the first stiffness.
    """

    def nothing(share: float, why: str) -> _Search:
        more = liveries_missing(0.0, count)
        told = FoundMap(camera, count, views, share, 0.0, 0.0, {}, more, None, [*notes, why])
        return _Search(told)

    def estimated(value: float) -> MapEstimate:
        assert read is not None
        return estimate_map(read.views, read.textures, changing, tell, value)

    count, notes = 0, []
    if read is None:
        return nothing(0.0, "it has no training view that can be read")
    read, alignment = aligned(read, folder)
    count, notes = len(read.liveries), read.notes
    if count < 2:
        return nothing(0.0, "one livery tells nothing")
    changing = changing_pixels(read.views, read.brightness_error, read.resampled)
    if not changing.any():
        return nothing(0.0, "no pixel changes between its liveries")
    found = estimated(stiffness[0])
    share, known, sure = _shares(found)
    while known < DOUBTFUL:
        odd = unexplained_view(read.views, read.textures, changing)
        if odd is None:
            break
        read = read.without(odd, "it does not fit its texture as the other views fit theirs")
        count, notes = len(read.liveries), read.notes
        changing = changing_pixels(read.views, read.brightness_error, read.resampled)
        found = estimated(stiffness[0])
        share, known, sure = _shares(found)
    if known < LEAST_KNOWN:
        return nothing(share, "its liveries do not tell which texels its pixels show")
    more = liveries_missing(known, count)
    others = {value: estimated(value) for value in stiffness[1:]}
    every = {stiffness[0]: found, **others}
    known_by = {f"{value:g}": _shares(estimate)[1] for value, estimate in every.items()}
    told = FoundMap(camera, count, views, share, known, sure, known_by, more, None, notes)
    return _Search(told, found, others, alignment)


def _shares(found: MapEstimate) -> tuple[float, float, float]:
    """The painted share of the picture, and the known and the sure share of that."""
    painted = torch.isfinite(found.uv[..., 0])
    sureness = found.confidence[painted]
    known, sure = (
        float((sureness >= least).sum()) / max(len(sureness), 1) for least in (KNOWN, SURE)
    )
    return float(painted.float().mean()), known, sure
