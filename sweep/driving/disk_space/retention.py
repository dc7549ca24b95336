"""Removes the files of runs whose verdict is final; see :mod:`sweep.decisions.retention`."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from sweep.decisions.retention import kept
from sweep.driving.due_runs import Records, is_candidate, near_misses
from sweep.study.cleaned import Cleaned
from sweep.study.config import StudyConfig
from sweep.study.folder import UNFINISHED, RunKey, TrialRecord, write_record
from sweep.study.folder import records as read_records
from uvtex.errors import UvtexError
from uvtex.runs.folder import RunFolder
from uvtex.runs.header import read_header


@dataclass(frozen=True)
class Removal:
    """The files of a run that are not needed any more."""

    record: TrialRecord
    files: tuple[Path, ...]
    bytes: int

    @property
    def verdict(self) -> str:
        """The kind of run, for a table: ``probe pruned``, ``full complete``."""
        return f"{self.record.stage} {self.record.state}"


def removals(
    study: StudyConfig,
    records: Mapping[RunKey, TrialRecord],
    protected: Collection[int] = (),
    trial: int | None = None,
) -> Iterator[Removal]:
    """What may be removed of the runs of a study, by trial. Runs without such files are left out.

    Args:
        protected: trials that the registry has a version of, besides those whose records say so.
        trial: only the runs of this trial; None: all.

    Raises:
        UvtexError: a file of a run is damaged.
    """
    concerned = records
    if trial is not None:
        concerned = {key: one for key, one in records.items() if one.trial == trial or one.gate}
    near = {record.trial for _, record in near_misses(study, concerned)}
    full_runs: dict[int, list[TrialRecord]] = defaultdict(list)
    for record in concerned.values():
        if record.stage == "full":
            full_runs[record.trial].append(record)
    for key in sorted(concerned):
        record = records[key]
        if record.state in UNFINISHED or trial not in (None, record.trial):
            continue
        full = full_runs[record.trial]
        registered = any(one.gate is not None and one.gate.registered for one in full)
        keep = kept(
            record.state,
            is_open=record.trial in near or _undecided(records, record.trial, full),
            is_protected=registered or record.trial in protected,
        )
        if keep == "everything":
            continue
        run = RunFolder(study.paths.run_dir(*record.key))
        files = tuple(_superfluous(run, keep == "records"))
        if files:
            yield Removal(record, files, sum(path.stat().st_size for path in files))


def _undecided(
    records: Mapping[RunKey, TrialRecord], trial: int, full: Collection[TrialRecord]
) -> bool:
    """Whether a trial is to be run in full, or its full runs were not judged yet."""
    probe = records.get((trial, "probe"))
    candidate = probe is not None and is_candidate(probe)
    return (candidate or bool(full)) and not any(one.gate is not None for one in full)


def _superfluous(run: RunFolder, records_only: bool) -> Iterator[Path]:
    """Checkpoints and grids that the trainer wrote. Files of a person stay."""
    config = run.read_settings()
    if config is None:
        return
    going = ("best", "last", "periodic") if records_only else ("last", "periodic")
    for path in run.checkpoint_files():
        if run.kind(path, config.checkpoint_name) in going and not path.is_symlink():
            yield path
    if records_only:
        yield from run.grid_files()[1:]


def remove(study: StudyConfig, removal: Removal) -> TrialRecord:
    """Writes into the run's record what is removed, and then removes it; returns the record.

    Raises:
        UvtexError: the record cannot be written. Nothing is removed then.
    """
    run_dir = study.paths.run_dir(*removal.record.key)
    before = removal.record.cleaned
    versions, fingerprint = _facts(RunFolder(run_dir), before)
    names = [path.relative_to(run_dir).as_posix() for path in removal.files]
    record = removal.record.model_copy(
        update={
            "cleaned": Cleaned(
                files=tuple(dict.fromkeys([*(before.files if before else ()), *names])),
                bytes=removal.bytes + (before.bytes if before else 0),
                at=time.time(),
                metric_versions=versions,
                data_fingerprint=fingerprint,
            )
        }
    )
    write_record(run_dir, record)
    for path in removal.files:
        path.unlink(missing_ok=True)
    return record


def _facts(run: RunFolder, before: Cleaned | None) -> tuple[dict[str, str], str]:
    """What the best checkpoint knows and no other file does."""
    if before is not None and before.metric_versions:
        return dict(before.metric_versions), before.data_fingerprint
    config = run.read_settings()
    try:
        header = read_header(run.best("" if config is None else config.checkpoint_name))
    except UvtexError:
        return {}, ""
    return dict(header.metric_versions), header.data_fingerprint


def free_in_mlflow(study: StudyConfig, say: Callable[[str], None]) -> None:
    """Removes MLflow's copies of what the records say was removed; says why if it cannot."""
    from sweep.tracking.holdings.copies import remove_copies
    from sweep.tracking.holdings.inventory import read_holdings

    try:
        remove_copies(study, read_holdings(study), read_records(study.paths.folder))
    except UvtexError as error:
        say(f"MLflow keeps its copies of removed files; run `sweep clean --yes` later: {error}")


class Cleaner:
    """Removes as soon as the verdict is final, if the study asks for it with ``keep: verdict``.

    ``records`` are the driver's. They are changed.
    """

    def __init__(self, study: StudyConfig, records: Records) -> None:
        self._study, self._records = study, records

    def clean(self, trial: int | None = None) -> None:
        """Cleans the runs of a trial, or of all.

        Raises:
            UvtexError: a record cannot be written, or a file of a run is damaged.
        """
        if self._study.keep == "verdict":
            for removal in list(removals(self._study, self._records, trial=trial)):
                self._records[removal.record.key] = remove(self._study, removal)
