"""Imports a source of pictures into a new data set, completely or not at all.

The set is built in a hidden folder beside its final place and renamed when it is complete. A full
disk, a broken picture or Ctrl-C therefore leaves nothing behind. The source is never changed.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from uvtex.data import manifest
from uvtex.data.car_facts import CAR, read_car
from uvtex.data.found_maps import MAPS
from uvtex.data.view_files import ViewReader
from uvtex.errors import DataError
from uvtex.files import refuse_existing, whole_folder, write_atomic
from uvtex.imaging import seams
from uvtex.intake import checking, sources
from uvtex.intake.found_maps import bring_found_maps
from uvtex.intake.mask_drawing import Method, draw_shot, masks_by_variation
from uvtex.intake.sources import Candidate, StandIn, Unusable
from uvtex.progress import Progress, no_progress


@dataclass
class ImportReport:
    """The result of an import."""

    kind: sources.Kind
    source: str
    out: str
    views: int = 0
    liveries: int = 0
    linked: int = 0
    copied: int = 0
    composed: int = 0
    """Number of views without a file, which are composed from their plate at each reading."""
    masks: dict[str, int] = field(default_factory=dict)
    """Origin of a mask -> number of records. Origins: ``given``, ``variation``, ``alpha`` (the
    view's own transparency), ``backdrop``, ``colour``, and ``everything``: no car was found, so the
    mask is the whole picture."""
    stand_ins: list[StandIn] = field(default_factory=list)
    unusable: list[Unusable] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """The report as JSON values, for ``--json``."""
        values = asdict(self)
        for stand_in in values["stand_ins"]:
            stand_in["texture"] = str(stand_in["texture"])
        return values


def import_set(
    source: Path,
    out: Path,
    link: bool = False,
    method: Method = "auto",
    progress: Progress = no_progress,
) -> ImportReport:
    """Imports ``source`` into the new folder ``out``.

    Args:
        source: see :func:`uvtex.intake.sources.read`.
        out: must not exist. Missing parent folders are made.
        link: make hard links instead of copies, where the file system supports them.
        method: how masks are drawn for records without one. ``auto`` compares the liveries seen by
            one camera. Where it cannot, it uses the view's transparency, or else removes the
            backdrop.
        progress: called with the number of records done and the number of records.

    Raises:
        DataError: ``out`` exists or cannot be written, or no record of ``source`` can be used.
    """
    refuse_existing(out)
    found = sources.read(source)
    report = ImportReport(found.kind, str(found.path), str(out), unusable=list(found.unusable))
    report.notes = list(found.notes)
    usable = checking.usable(found.candidates, report.unusable, report.notes)
    if not usable:
        raise DataError(_nothing(found.path, report))
    present = {candidate.livery for candidate in usable}
    report.stand_ins = [s for s in found.stand_ins if s.livery in present]
    report.views, report.liveries = len(usable), len(present)
    with whole_folder(out) as folder:
        if found.kind == "manifest":
            _bring_car(found.path.parent, folder, report)
        builder = _Builder(folder, link, method, report, progress)
        records = builder.records(usable)
        if found.kind == "manifest":
            if (found.path.parent / seams.SEAMS).is_file():
                shutil.copyfile(found.path.parent / seams.SEAMS, folder / seams.SEAMS)
            _bring_maps(found.path.parent, folder, builder.uv_maps, records, report)
        write_atomic(folder / "import.json", _dump(report.to_dict()))
        manifest.write(folder, records)
    return report


def _bring_car(source: Path, folder: Path, report: ImportReport) -> None:
    """Copies ``car.json`` of a rendered set, and the picture of shared texels that it names."""
    try:
        car = read_car(source)
    except DataError as error:
        report.unusable.append(Unusable(CAR, str(error)))
        return
    marks = car and car.shared_texels
    if marks and not _is_inside(source, marks):
        report.unusable.append(Unusable(CAR, f"shared_texels {marks!r} is not a file beside it"))
        return
    for name in (CAR, marks) if car else ():
        if name:
            shutil.copyfile(source / name, folder / name)
            report.copied += 1


def _bring_maps(
    source: Path,
    folder: Path,
    placed: Mapping[Path, str],
    records: Sequence[manifest.Record],
    report: ImportReport,
) -> None:
    """Writes ``maps.json`` of a set whose UV maps were found from pictures."""
    try:
        report.notes += bring_found_maps(source, folder, placed, records, Path(report.out))
    except DataError as error:
        without = "without it training cannot tell which liveries the UV maps were found from"
        report.unusable.append(Unusable(MAPS, f"{error}; {without}"))


def _is_inside(folder: Path, name: str) -> bool:
    """Whether ``name``, after following links, is a file directly in ``folder``."""
    target = os.path.realpath(folder / name)
    return os.path.dirname(target) == os.path.realpath(folder) and os.path.isfile(target)


def _nothing(path: Path, report: ImportReport) -> str:
    unusable = report.unusable
    listed = "".join(f"\n  {item.where}: {item.reason}" for item in unusable[:10])
    more = f"\n  and {len(unusable) - 10} more" if len(unusable) > 10 else ""
    notes = "".join(f"\n  note: {note}" for note in report.notes[:10])
    return f"{path}: nothing in it can be used{':' if unusable else '; it has no records'}" + (
        listed + more + notes
    )


class _Builder:
    """Writes the files of one import into a new folder."""

    def __init__(
        self,
        folder: Path,
        link: bool,
        method: Method,
        report: ImportReport,
        progress: Progress,
    ) -> None:
        self._folder, self._link, self._method = folder, link, method
        self._report, self._progress = report, progress
        self._placed: dict[tuple[str, Path], str] = {}
        self._taken: set[str] = set()
        self._drawn: dict[str, str] = {}
        self._shots = ViewReader()

    @property
    def uv_maps(self) -> dict[Path, str]:
        """UV map of the source -> its path in the set."""
        return {path: name for (kind, path), name in self._placed.items() if kind == "uv_maps"}

    def records(self, usable: list[Candidate]) -> list[manifest.Record]:
        """Writes the files of the candidates ``usable``; returns their records."""
        varied: dict[str, np.ndarray] = {}
        if self._method == "auto":
            varied = masks_by_variation(
                self._shots, ((c.camera, c.livery, c.shot) for c in usable if not c.mask)
            )
        records = []
        for number, candidate in enumerate(usable):
            records.append(self._record(candidate, varied.get(candidate.camera or "")))
            self._progress("pictures", number + 1, len(usable))
        return records

    def _record(self, candidate: Candidate, varied: np.ndarray | None) -> manifest.Record:
        view = self._copy_view(candidate)
        return manifest.Record(
            view=view,
            livery=candidate.livery,
            texture=self._place("textures", candidate.texture, name=candidate.livery),
            mask=self._mask(candidate, view, varied),
            uv_map=candidate.uv_map and self._place("uv_maps", candidate.uv_map),
            plate=candidate.plate and self._place("plates", candidate.plate),
            camera=candidate.camera,
        )

    def _copy_view(self, candidate: Candidate) -> str:
        """The view's path in the set; a view composed from its plate has a path but no file."""
        if not candidate.shot.composed:
            return self._place("views", candidate.view, candidate.livery)
        self._report.composed += 1
        parts = ("views", _file_name(candidate.livery), _file_name(candidate.view.stem))
        return self._free("/".join(parts), candidate.view.suffix.lower())

    def _mask(self, candidate: Candidate, view: str, varied: np.ndarray | None) -> str:
        if candidate.mask:
            self._count("given")
            return self._place("masks", candidate.mask)
        if varied is not None:
            self._count("variation")
            camera = str(candidate.camera)
            if camera not in self._drawn:
                self._drawn[camera] = self._write_mask(f"masks/{_file_name(camera)}", varied)
            return self._drawn[camera]
        name, mask = draw_shot(self._shots, candidate.shot, self._method)
        self._count(name)
        if name == "everything":
            self._report.notes.append(
                f"{candidate.where}: no car was found in {candidate.view.name}; its mask is the "
                "whole picture"
            )
        return self._write_mask(f"masks/{Path(view).relative_to('views').with_suffix('')}", mask)

    def _count(self, name: str) -> None:
        self._report.masks[name] = self._report.masks.get(name, 0) + 1

    def _write_mask(self, stem: str, mask: np.ndarray) -> str:
        relative = self._free(stem, ".png")
        target = self._folder / relative
        target.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray((mask * np.uint8(255)).astype(np.uint8)).save(target)
        return relative

    def _place(self, kind: str, path: Path, livery: str | None = None, name: str = "") -> str:
        """Copies or links a file into the set, once; returns its path in the set."""
        if (kind, path) not in self._placed:
            parts = [kind, *([_file_name(livery)] if livery else []), _file_name(name or path.stem)]
            relative = self._free("/".join(parts), path.suffix.lower())
            target = self._folder / relative
            target.parent.mkdir(parents=True, exist_ok=True)
            self._copy(path, target)
            self._placed[kind, path] = relative
        return self._placed[kind, path]

    def _copy(self, path: Path, target: Path) -> None:
        if self._link:
            try:
                os.link(path.resolve(), target)
                self._report.linked += 1
                return
            except OSError:  # Another file system, or one without hard links: copy.
                pass
        shutil.copyfile(path, target)
        self._report.copied += 1

    def _free(self, stem: str, suffix: str) -> str:
        """A path in the set that is still free, also on file systems that ignore case."""
        name, number = f"{stem}{suffix}", 1
        while name.lower() in self._taken:
            name, number = f"{stem}-{number}{suffix}", number + 1
        self._taken.add(name.lower())
        return name


def _file_name(name: str) -> str:
    """``name`` as a valid file name on every file system, without separators and leading dots."""
    cleaned = re.sub(r"[^\w.+=@-]+", "_", name).strip("._ ")[:80]
    return cleaned or "unnamed"


def _dump(values: dict[str, Any]) -> bytes:
    return json.dumps(values, indent=1, ensure_ascii=False).encode("utf-8", "replace")
