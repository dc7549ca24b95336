"""``sweep clean``: what a study can do without, by the verdict on each trial."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from sweep.driving.disk_space.retention import Removal, removals, remove
from sweep.study.config import StudyConfig
from sweep.study.folder import records
from sweep.study.lease import lease
from sweep.tracking.holdings.copies import copies, remove_copies
from sweep.tracking.holdings.inventory import Holdings, read_holdings


@dataclass(frozen=True)
class Row:
    """What goes of the runs of one verdict."""

    verdict: str
    """Such as ``probe pruned``."""
    runs: int
    files: int
    bytes: int
    """In the trial directories."""
    in_mlflow: int
    """Bytes of the copies in MLflow's artifact store."""


def superfluous(study: StudyConfig) -> list[Row]:
    """What :func:`clean` would remove. Nothing is changed.

    Raises:
        TrackingError: MLflow is away, so it is not known what the registry needs.
        UvtexError: a file of the study is damaged.
    """
    held = read_holdings(study)
    return _rows(study, held, _removals(study, held))


def clean(study: StudyConfig) -> list[Row]:
    """Removes it, in the trial directories and in MLflow; returns what was removed.

    The record of each run says what was removed of it. If it is stopped in between, a second call
    removes the rest.

    Raises:
        StudyTaken: a driver runs the study.
        TrackingError: MLflow is away or refuses.
        UvtexError: a file of the study is damaged, or a record cannot be written.
    """
    with lease(study.paths):
        held = read_holdings(study)
        found = _removals(study, held)
        rows = _rows(study, held, found)
        for removal in found:
            remove(study, removal)
    remove_copies(study, held, records(study.paths.folder))
    return rows


def _removals(study: StudyConfig, held: Holdings | None) -> list[Removal]:
    versions = () if held is None else held.versions
    protected = {int(version.trial) for version in versions if version.trial.isdecimal()}
    by_key = {record.key: record for record in records(study.paths.folder)}
    return list(removals(study, by_key, protected))


def _rows(study: StudyConfig, held: Holdings | None, found: Sequence[Removal]) -> list[Row]:
    by_verdict: dict[str, list[Removal]] = defaultdict(list)
    for removal in found:
        by_verdict[removal.verdict].append(removal)
    return [
        Row(
            verdict=verdict,
            runs=len(group),
            files=sum(len(removal.files) for removal in group),
            bytes=sum(removal.bytes for removal in group),
            in_mlflow=0 if held is None else _copied(study, held, group),
        )
        for verdict, group in sorted(by_verdict.items())
    ]


def _copied(study: StudyConfig, held: Holdings, group: Sequence[Removal]) -> int:
    named = [
        (
            removal.record,
            [
                path.relative_to(study.paths.run_dir(*removal.record.key)).as_posix()
                for path in removal.files
            ],
        )
        for removal in group
    ]
    return sum(size for _, _, size in copies(study, held, named))
