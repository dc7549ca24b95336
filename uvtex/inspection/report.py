"""The data report: the contents of a data set and its problems, before it is trained on.

It counts views, masks, UV maps, liveries and cameras. It measures how much of the atlas the cameras
see, lists broken and odd files, and measures the leakage of the split.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from uvtex.data import manifest
from uvtex.data.car_facts import CAR, CarFacts, read_car
from uvtex.data.found_maps import MAPS, FoundMaps, read_found_maps
from uvtex.errors import DataError
from uvtex.inspection.leakage import Leakage, leakage
from uvtex.inspection.scan import COVERAGE_SIZE, Problem, Scan
from uvtex.intake import sources
from uvtex.progress import Progress, no_progress


@dataclass(frozen=True)
class Livery:
    """A livery, and the number of its views on each side of the split."""

    name: str
    texture: str
    views: int
    train: int
    val: int
    test: int

    @property
    def side(self) -> str:
        """``train``, ``val``, ``test``, or ``both`` for several; empty if there is no split."""
        sides = [name for name in ("train", "val", "test") if getattr(self, name)]
        return "both" if len(sides) > 1 else "".join(sides)


@dataclass(frozen=True)
class Camera:
    """A camera and its views."""

    name: str
    views: int
    masks: int  # number of views with a mask
    uv_maps: int  # number of views with a UV map
    coverage: float | None
    """Share of the atlas that it sees, in [0, 1]; None without a UV map."""
    example: str
    """One of its views."""


@dataclass
class SetReport:
    """All figures of a data set."""

    folder: str
    views: int
    masks: int
    uv_maps: int
    plates: int
    composed: int
    """Number of views that have a plate and no file. They were composed for this report."""
    sizes: dict[str, int]
    """``WxH`` -> number of views of that size, the most frequent first."""
    liveries: list[Livery]
    cameras: list[Camera]
    unnamed: int
    """Number of views whose record names no camera."""
    unseen: float | None
    """Share of the atlas that no camera sees, in [0, 1]; None without UV maps."""
    leakage: Leakage
    problems: list[Problem]
    car: CarFacts | None = None
    """The facts of ``car.json``; None if the set was not rendered from a user's mesh."""
    found: FoundMaps | None = None
    """What ``maps.json`` says; None if the UV maps were not found from pictures."""
    seen_by: np.ndarray | None = field(default=None, repr=False)
    """int [COVERAGE_SIZE, COVERAGE_SIZE]: number of UV maps that see each texel."""
    records: tuple[manifest.Record, ...] = field(default=(), repr=False)
    sides: tuple[str, ...] = field(default=(), repr=False)
    """``train``, ``val`` or ``test`` for each record; empty if there is no split."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for ``--json``."""
        hidden = ("seen_by", "records", "sides")
        values = {key: value for key, value in asdict(self).items() if key not in hidden}
        for livery, facts in zip(values["liveries"], self.liveries, strict=True):
            livery["side"] = facts.side
        values["leakage"]["share"] = self.leakage.share
        values["leakage"]["test_share"] = self.leakage.test_share
        values["car"] = None if self.car is None else self.car.model_dump()
        values["found"] = None if self.found is None else self.found.model_dump()
        values["coverage_size"] = COVERAGE_SIZE
        return values


def inspect_set(
    folder: Path,
    by: str = "livery",
    fraction: float = 0.1,
    seed: int = 0,
    progress: Progress = no_progress,
    test_fraction: float = 0.0,
) -> SetReport:
    """Reads every file of a data set.

    Args:
        folder: the folder of the data set; it holds a ``manifest.json``.
        by: ``livery`` or ``sample``, as in :func:`uvtex.data.splits.split`, like ``fraction``,
            ``seed`` and ``test_fraction``.
        progress: called after each record with the number of records done and of all records.

    Raises:
        DataError: there is no manifest, or none of its records can be read.
    """
    records, problems = _usable_records(folder)
    scan = Scan(folder, problems)
    for number, record in enumerate(records):
        scan.add(record)
        progress("pictures", number + 1, len(records))
    problems += _shared_names(records)
    car, found = _car(folder, problems), _found(folder, problems)
    leak, sides = leakage(records, scan, by, fraction, seed, test_fraction)
    coverage, seen_by = _coverage(scan.seen)
    return SetReport(
        folder=str(folder),
        views=len(records),
        masks=sum(r.mask is not None for r in records),
        uv_maps=sum(r.uv_map is not None for r in records),
        plates=sum(r.plate is not None for r in records),
        composed=scan.composed,
        sizes=dict(Counter(scan.sizes).most_common()),
        liveries=list(_liveries(records, sides)),
        cameras=list(_cameras(records, coverage)),
        unnamed=sum(r.camera is None for r in records),
        unseen=None if seen_by is None else float((seen_by == 0).mean()),
        leakage=leak,
        problems=sorted(problems, key=lambda p: (p.kind, p.file)),
        car=car,
        found=found,
        seen_by=seen_by,
        records=tuple(records),
        sides=sides,
    )


def _usable_records(folder: Path) -> tuple[list[manifest.Record], list[Problem]]:
    """The manifest's usable records, and a problem for each of the others."""
    path = folder / "manifest.json"
    if not path.is_file():
        raise manifest.no_set(folder)
    good, refused = sources.lenient(path)
    problems = [Problem("broken", item.where, item.reason) for item in refused]
    records = [record for _, record in good]
    if not records:
        raise DataError("\n".join([f"{path}: no usable record", *(p.what for p in problems[:5])]))
    return records, problems


def _car(folder: Path, problems: list[Problem]) -> CarFacts | None:
    try:
        return read_car(folder)
    except DataError as error:
        problems.append(Problem("odd", CAR, str(error)))
        return None


def _found(folder: Path, problems: list[Problem]) -> FoundMaps | None:
    try:
        return read_found_maps(folder)
    except DataError as error:
        problems.append(Problem("odd", MAPS, str(error)))
        return None


def _shared_names(records: Sequence[manifest.Record]) -> Iterator[Problem]:
    textures: dict[str, set[str]] = {}
    for record in records:
        textures.setdefault(record.livery, set()).add(record.texture)
    for livery, names in textures.items():
        if len(names) > 1:
            yield Problem("broken", f"livery {livery!r}", f"has {len(names)} textures")


def _coverage(
    seen: dict[str, np.ndarray | None],
) -> tuple[dict[str, float], np.ndarray | None]:
    known = {name: texels for name, texels in seen.items() if texels is not None}
    if not known:
        return {}, None
    shares = {name: float(texels.mean()) for name, texels in known.items()}
    return shares, np.sum(list(known.values()), axis=0)


def _liveries(records: Sequence[manifest.Record], sides: Sequence[str]) -> Iterator[Livery]:
    groups: dict[str, list[int]] = {}
    for number, record in enumerate(records):
        groups.setdefault(record.livery, []).append(number)
    for name, members in sorted(groups.items()):
        count = Counter(sides[number] for number in members) if sides else Counter[str]()
        texture = records[members[0]].texture
        yield Livery(
            name, texture, len(members), *(count[side] for side in ("train", "val", "test"))
        )


def _cameras(records: Sequence[manifest.Record], coverage: dict[str, float]) -> Iterator[Camera]:
    groups: dict[str, list[manifest.Record]] = {}
    for record in records:
        if record.camera is not None:
            groups.setdefault(record.camera, []).append(record)
    for name, members in sorted(groups.items()):
        maps = [r.uv_map for r in members if r.uv_map is not None]
        shares = [coverage[uv_map] for uv_map in dict.fromkeys(maps) if uv_map in coverage]
        yield Camera(
            name,
            len(members),
            sum(r.mask is not None for r in members),
            len(maps),
            max(shares) if shares else None,
            members[0].view,
        )
