"""What a study will write to the disk, by what its runs have written, and whether it fits."""

from __future__ import annotations

import functools
import itertools
import shutil
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from sweep.decisions.disk import (
    RunBytes,
    estimate,
    grid_bytes,
    lacking,
    readable,
    run_bytes,
)
from sweep.driving.active_run import ActiveRun
from sweep.driving.due_runs import Records
from sweep.study.config import StudyConfig
from sweep.study.database import sqlite_file
from sweep.study.folder import RunKey, Stage, TrialRecord
from sweep.study.run_index import indexed_runs
from uvtex.config import Schedule, TrainConfig
from uvtex.errors import UvtexError
from uvtex.runs.folder import RunFolder

MEASURED = 20
"""Runs of a stage whose folders are measured. To walk through thousands would take too long."""


@dataclass
class DiskRoom:
    """The disk of a study's store. ``records`` are the driver's, which changes them."""

    study: StudyConfig
    records: Records
    _known: dict[RunKey, tuple[int, int, int]] = field(default_factory=dict)
    _estimated: dict[Stage, RunBytes] = field(default_factory=dict)

    @property
    def free(self) -> int:
        """Bytes that are free for this user."""
        return shutil.disk_usage(_existing(self.study.store.absolute())).free

    def lacks(self, stage: Stage, active: Collection[ActiveRun]) -> str | None:
        """Why no run of a stage may start, in a sentence; None if one may."""
        stages = {stage, *(run.record.stage for run in active)}
        needs = {one: self.needs(one)[0] for one in stages}
        promised = [(needs[run.record.stage], _written(run.run_dir)) for run in active]
        need, free = needs[stage], self.free
        if not (missing := lacking(free, need, promised)):
            return None
        store, clean = self.study.store, self.study.paths.command("clean")
        return (
            f"The disk is nearly full: {readable(free)} are free in {store}, and a {stage} run "
            f"needs up to {readable(need.peak)} besides what stays in reserve. Free "
            f"{readable(missing)} or more; `{clean}` shows what the study can do without."
        )

    def forecast(self) -> str:
        """What the study will need, against what is free, in a sentence or two."""
        (probe, measured), (full, _) = self.needs("probe"), self.needs("full")
        left = max(0, self.study.trials - self.records.probes)
        free, total = self.free, left * probe.kept
        basis = "as measured" if measured else "by the size of the networks"
        text = (
            f"disk: a probe takes about {readable(probe.kept)} and a full run about "
            f"{readable(full.kept)}, {basis}; probes to go: {left}, "
            f"which take {readable(total)}, and each full run more; "
            f"{readable(free)} are free in {self.study.store}"
        )
        if left and lacking(free, RunBytes(total, total + probe.peak - probe.kept), ()):
            text += (
                "\ndisk: that is not enough; the study stops before the disk is full, and can be "
                "resumed; with `keep: verdict` it removes the files of pruned probes itself"
            )
        return text

    def needs(self, stage: Stage) -> tuple[RunBytes, bool]:
        """What a run of a stage takes, and whether runs that have ended tell it."""
        if (same := self._measured(stage)) is not None:
            return same, True
        if stage == "full" and (alike := self._measured("probe", as_full=True)) is not None:
            return alike, True
        return self._estimate(stage), False

    def _measured(self, stage: Stage, as_full: bool = False) -> RunBytes | None:
        """The most that one of the last :data:`MEASURED` runs of a stage took; None without any.

        Only runs count that ended and have all their files, or had them when they were measured.

        Args:
            as_full: the most that full runs would take whose networks are those of the probes. To
                count the networks' weights takes seconds: they have to be built.
        """
        usable = (record for record in self.records.latest(stage) if self._is_known(record))
        more = grid_bytes(self.study.grids, self._side) if as_full else 0
        epochs, found = self.study.epochs("full" if as_full else stage), None
        for record in itertools.islice(usable, MEASURED):
            if record.key not in self._known:
                self._known[record.key] = self._of_run(record)
            best, last, others = self._known[record.key]
            taken = run_bytes(
                best,
                last,
                others + more,
                epochs,
                copied=self._copied,
                registered=as_full or stage == "full",
            )
            found = taken if found is None else found | taken
        return found

    @property
    def _side(self) -> int:
        """Of a picture, in pixels."""
        return int(
            self.study.train.get("image_size", TrainConfig.model_fields["image_size"].default)
        )

    def _is_known(self, record: TrialRecord) -> bool:
        return record.cleaned is None or record.key in self._known

    def _of_run(self, record: TrialRecord) -> tuple[int, int, int]:
        """Bytes of a run's best checkpoint, of the one that it resumes from, and of the rest."""
        run = RunFolder(self.study.paths.run_dir(*record.key))
        try:
            config = run.read_settings()
        except UvtexError:
            config = None
        name = "best" if config is None else config.checkpoint_name
        best, last = _size(run.best(name)), _size(run.last(name))
        return best, last, _written(run.path) - best - last

    def _estimate(self, stage: Stage) -> RunBytes:
        if stage not in self._estimated:
            config = self.study.train_config(stage, Schedule())
            self._estimated[stage] = estimate(
                _weights(config),
                config.image_size,
                self.study.grids,
                config.epochs,
                copied=self._copied,
                registered=stage == "full",
            )
        return self._estimated[stage]

    @functools.cached_property
    def _copied(self) -> bool:
        """Whether MLflow's artifacts are in the store, beside the trial directories."""
        file = sqlite_file(self.study.tracking_uri)
        return file is not None and file.resolve().parent == self.study.store.resolve()


def _weights(config: TrainConfig) -> int:
    """The number of weights of both networks. What they know of the data set is not counted."""
    return _counted(config.model_dump_json(exclude={"epochs", "schedule", "thresholds", "seed"}))


@functools.cache
def _counted(settings: str) -> int:
    from uvtex.models import build

    networks = build(TrainConfig.model_validate_json(settings), None)
    return sum(parameter.numel() for network in networks for parameter in network.parameters())


def disk_forecast(study: StudyConfig, runs: Iterable[TrialRecord] | None = None) -> str:
    """What the study will need of the disk, against what is free.

    Args:
        runs: the study's records; None: those on disk that can be read.
    """
    found = [run.record for run in indexed_runs(study)[0]] if runs is None else runs
    return DiskRoom(study, Records(found)).forecast()


def _existing(path: Path) -> Path:
    """The nearest folder that is there."""
    return next(folder for folder in (path, *path.parents) if folder.is_dir())


def _written(folder: Path) -> int:
    return sum(_size(path) for path in folder.rglob("*") if not path.is_symlink())


def _size(path: Path) -> int:
    try:
        return path.stat().st_size if path.is_file() else 0
    except OSError:  # a temporary file, gone meanwhile
        return 0
